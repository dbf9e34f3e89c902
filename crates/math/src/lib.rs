//! The two functions of C's mathematical library that the program calls, so that it needs no more of that library.
//!
//! Tokio's scheduler calls one for its averages, and SQLite the other to rank what a search has found. Without these
//! the system maps a library of a megabyte into the server; half of it stays resident, a twentieth of all that an idle
//! server has.
//!
//! A symbol without a mangled name counts as unsafe code, since another of that name could have other parameters. These
//! are the C standard's, and nothing else in here is unsafe.
#![deny(unsafe_op_in_unsafe_fn)]

/// `x` to the power of `y` (C23 §7.12.7.5).
#[unsafe(no_mangle)]
pub extern "C" fn pow(x: f64, y: f64) -> f64 {
    libm::pow(x, y)
}

/// The natural logarithm (C23 §7.12.6.11).
#[unsafe(no_mangle)]
pub extern "C" fn log(x: f64) -> f64 {
    libm::log(x)
}

#[cfg(test)]
mod tests {
    #[test]
    fn they_are_what_others_call_so() {
        for number in 1..1_000 {
            let x = f64::from(number) / 7.0;
            assert!((super::log(x).exp() / x - 1.0).abs() < 1e-14, "{x}");
            assert!((super::pow(x, 1.5) / (x * x.sqrt()) - 1.0).abs() < 1e-14, "{x}");
        }
    }
}
