use domain_events::prelude::*;

#[derive(FromServices)]
enum Notify {
    One,
}

fn main() {}
