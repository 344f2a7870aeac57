//! Every kernel against its slow reference: equal in every code, whatever way its rows are asked for and lie.

mod by_rows;
mod convolution;
mod elementwise;
mod layer_norm;
mod pool;
mod refusals;
mod softmax;
