mod function_oracle;
mod function_text;

fn main() {}
