mod function_datetime;
mod function_json;
mod function_oracle;
mod function_text;

fn main() {}
