//! Bad images: each rule of the door broken once, every cut, every flipped bit, and thousands of random wounds.

mod damage;
mod later;
mod load;
mod parse;
mod regions;
mod wounds;
