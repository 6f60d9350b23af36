fn main() {}
mod registry;
