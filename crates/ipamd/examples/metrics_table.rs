//! Prints the tables of docs/metrics.md, between its two marks.

fn main() {
    print!("{}", vpc_ipamd::metrics::catalogue::markdown());
}
