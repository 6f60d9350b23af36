use super::*;

fn number(text: &str) -> Numeric {
    parse(text).expect("a number")
}

fn check(got: Result<Numeric, NumericError>, expected: &str) {
    assert_eq!(got.map(|n| n.to_string()), Ok(expected.to_owned()));
}

#[test]
fn the_scale_is_part_of_the_value() {
    for text in
        ["0", "0.00", "1.10", "-0.0001", "123456789012345678901234567890123456789012345.678900", "NaN", "-Infinity"]
    {
        assert_eq!(read(text.as_bytes()).expect("an output form").to_string(), text);
    }
    check(number("1.10").mul(&number("2.0")), "2.200");
    check(number("1.10").add(&number("1")), "2.10");
}

#[test]
fn quotients_have_the_scale_of_postgres() {
    for (a, b, quotient) in [
        ("1", "3", "0.33333333333333333333"),
        ("10", "3", "3.3333333333333333"),
        ("1000000", "3.0", "333333.333333333333"),
        ("0.0001", "3", "0.000033333333333333333333"),
        ("5.00", "7.0000", "0.71428571428571428571"),
        ("7", "2.0", "3.5000000000000000"),
        ("1e40", "7", "1428571428571428571428571428571428571429"),
    ] {
        check(number(a).div(&number(b)), quotient);
    }
    assert_eq!(number("1").div(&number("0.0")).err(), Some(NumericError::DivisionByZero));
}

#[test]
fn roots_and_powers() {
    check(number("2").sqrt(), "1.414213562373095");
    check(number("2").power(&number("10")), "1024.0000000000000000");
    check(number("-2").power(&number("-3")), "-0.1250000000000000");
    assert_eq!(number("-1").sqrt().err(), Some(NumericError::NegativeSquareRoot));
    assert_eq!(number("2").power(&number("0.5")).err(), Some(NumericError::FractionalExponent));
}

#[test]
fn rounding_is_half_away_from_zero() {
    check(number("2.5").round(0), "3");
    check(number("-2.5").round(0), "-3");
    check(number("1.5").round(3), "1.500");
    check(number("155").round(-1), "160");
    check(number("-0.5").ceil(), "0");
    check(number("-0.5").floor(), "-1");
}

#[test]
fn modifiers_round_and_overflow() {
    let typmod = (4 << 16 | 1) + 4;
    check(number("12.345").apply_typmod(typmod), "12.3");
    check(number("999.94").apply_typmod(typmod), "999.9");
    assert_eq!(number("999.95").apply_typmod(typmod).err(), Some(NumericError::FieldOverflow));
}

#[test]
fn equal_values_share_their_canonical_text() {
    for (a, b) in [("1.0", "1.00"), ("0", "-0.0"), ("100", "1e2"), ("0.5000", ".5")] {
        let canonical = |text: &str| {
            let mut out = String::new();
            number(text).write_canonical(&mut out);
            out
        };
        assert_eq!(canonical(a), canonical(b));
        assert_eq!(number(a).compare(&number(b)), std::cmp::Ordering::Equal);
    }
    assert!(number("NaN").compare(&number("Infinity")).is_gt());
}

#[test]
fn what_is_no_output_form_is_an_error() {
    for text in ["", "-", ".5", "1.", "1e3", "+1", " 1", "nan", "1.2.3", "1,2"] {
        assert!(read(text.as_bytes()).is_err(), "{text}");
    }
    assert_eq!(parse("1e131072").err(), Some(NumericError::Overflow));
}
