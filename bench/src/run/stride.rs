//! The step from one shot's user to the next one's.

/// A number near `users` times the golden ratio that has no divisor in common with `users`.
pub fn stride(users: u64) -> u64 {
    let golden = (u128::from(users) * 618_033_988_749_895 / 1_000_000_000_000_000) as u64;
    let near = (0..users).flat_map(|distance| [golden.saturating_sub(distance), golden + distance]);
    near.into_iter().find(|&stride| stride >= 1 && gcd(stride, users) == 1).unwrap_or(1)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The number whose product with `stride` is 1 modulo `users`.
pub fn inverse(stride: u64, users: u64) -> u64 {
    let users = i128::from(users);
    let (mut old, mut new) = ((i128::from(stride), 1i128), (users, 0i128));
    while new.0 != 0 {
        let quotient = old.0 / new.0;
        (old, new) = (new, (old.0 - quotient * new.0, old.1 - quotient * new.1));
    }
    old.1.rem_euclid(users) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn strides_are_coprime_and_inverted(users in 1u64..5_000_000) {
            let stride = stride(users);
            prop_assert_eq!(gcd(stride, users), 1);
            let product = u128::from(stride) * u128::from(inverse(stride, users));
            prop_assert_eq!(product % u128::from(users), 1 % u128::from(users));
        }
    }

    /// Expect: near the golden ratio, so that neighbours in time are far apart in number.
    #[test]
    fn strides_lie_near_the_golden_ratio() {
        for users in [1_000u64, 100_000, 1_000_000, 999_983] {
            let ratio = stride(users) as f64 / users as f64;
            assert!((ratio - 0.618).abs() < 0.01, "{users}: {ratio}");
        }
    }
}
