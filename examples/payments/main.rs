#[allow(dead_code)]
mod rules;
fn main() {}
