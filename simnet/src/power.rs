//! Powers with whole numbers only, as [`crate::seed`] explains: k^(−e) for the weights of a power law.

/// Binary digits after the point of a logarithm.
const LOG_BITS: u32 = 40;
/// Binary digits after the point of a number in 0..2.
const ONE_BITS: u32 = 62;
/// What a weight of 1 is: small enough that a million weights add up in 64 bits.
const WEIGHT_BITS: u32 = 43;

/// For each k of `min..=max` the weight (k / min)^(−`exponent`/1000) in units of 2⁻⁴³, rounded down.
/// `min` is at least 1.
pub(crate) fn weights(min: u32, max: u32, exponent: u32) -> Vec<u64> {
    let roots = roots();
    let smallest = log2(min);
    let weight = |k: u32| {
        let log = u128::from(log2(k) - smallest) * u128::from(exponent) / 1000;
        let whole = u32::try_from(log >> LOG_BITS).unwrap_or(u32::MAX);
        let fraction = log & ((1 << LOG_BITS) - 1);
        // 2^(−fraction) is the product of 2^(−1/2), 2^(−1/4) … for the digits that are set.
        let one = 1u128 << ONE_BITS;
        let product = (1..=LOG_BITS).zip(&roots).fold(one, |product, (digit, &root)| {
            if fraction >> (LOG_BITS - digit) & 1 == 1 { (product * root) >> ONE_BITS } else { product }
        });
        let shift = (ONE_BITS - WEIGHT_BITS).saturating_add(whole);
        product.checked_shr(shift).unwrap_or(0) as u64
    };
    (min.max(1)..=max).map(weight).collect()
}

/// 2^(−1/2), 2^(−1/4), 2^(−1/8) …, each the root of the one before.
fn roots() -> Vec<u128> {
    let half = 1u128 << (ONE_BITS - 1);
    std::iter::successors(Some((half << ONE_BITS).isqrt()), |&root| Some((root << ONE_BITS).isqrt()))
        .take(LOG_BITS as usize)
        .collect()
}

/// The logarithm to base 2, with 40 binary digits after the point: each squaring of the rest in 1..2 tells the
/// next digit. 0 for 0.
fn log2(n: u32) -> u64 {
    let whole = n.checked_ilog2().unwrap_or(0);
    let mut log = u64::from(whole);
    let mut rest = u128::from(n.max(1)) << (ONE_BITS - whole);
    for _ in 0..LOG_BITS {
        rest = (rest * rest) >> ONE_BITS;
        let digit = rest >> (ONE_BITS + 1);
        rest >>= digit;
        log = log << 1 | digit as u64;
    }
    log
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_powers() {
        for (min, max, exponent) in [(1, 2000, 2500), (3, 500, 1000), (7, 90, 333), (1, 50, 0), (5, 5, 3000)]
        {
            let weights = weights(min, max, exponent);
            assert_eq!(weights.len(), (max - min + 1) as usize);
            for (k, weight) in (min..).zip(weights) {
                let exact = (f64::from(k) / f64::from(min)).powf(-f64::from(exponent) / 1e3) * 2f64.powi(43);
                let off = (weight as f64 - exact).abs();
                assert!(off <= 1.0 + exact * 1e-10, "{k}^-{exponent}: {weight}, not {exact}");
            }
        }
    }

    #[test]
    fn a_steep_law_ends_at_zero() {
        assert_eq!(weights(1, 1_000_000, 10_000).last(), Some(&0));
    }
}
