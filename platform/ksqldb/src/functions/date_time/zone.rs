//! Time zones by the names that Java's `ZoneId` and `TimeZone` know.

use std::cell::RefCell;
use std::rc::Rc;

use jiff::tz::{Offset, TimeZone};

use super::super::FunctionError;
use super::super::cache::Cache;

/// The zone of a name: an IANA name, an offset such as `+02:00` or `UTC+2`, or one of Java's short names.
pub(super) fn named(name: &str) -> Result<Rc<TimeZone>, FunctionError> {
    thread_local! {
        static ZONES: RefCell<Cache<TimeZone>> = RefCell::new(Cache::new());
    }
    ZONES.with_borrow_mut(|zones| {
        zones.get_or_compile(name, |name| {
            lookup(name).ok_or_else(|| FunctionError::new(format!("the time zone `{name}` is unknown")))
        })
    })
}

fn lookup(name: &str) -> Option<TimeZone> {
    if let Some(offset) = fixed_offset(name) {
        return Some(TimeZone::fixed(offset));
    }
    TimeZone::get(long_name(name)).ok()
}

/// `Z`, `+2`, `-02:30`, `+023000`, each of them perhaps after `UTC`, `GMT` or `UT`.
fn fixed_offset(name: &str) -> Option<Offset> {
    let after_prefix = ["UTC", "GMT", "UT"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix));
    let text = after_prefix.unwrap_or(name);
    if text == "Z" || (text.is_empty() && after_prefix.is_some()) {
        return Some(Offset::UTC);
    }
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let colons_stand_before_pairs = digits.split(':').skip(1).all(|part| part.len() == 2);
    let digits = digits.replace(':', "");
    let is_number = (1..=6).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    if !colons_stand_before_pairs || !is_number {
        return None;
    }
    let hour_digits = if digits.len() % 2 == 1 { 1 } else { 2 };
    let part =
        |range: std::ops::Range<usize>| digits.get(range).map_or(Some(0), |part| part.parse::<i32>().ok());
    let hours = part(0..hour_digits)?;
    let minutes = part(hour_digits..hour_digits + 2)?;
    let seconds = part(hour_digits + 2..hour_digits + 4)?;
    let known = hours <= 18 && minutes < 60 && seconds < 60;
    known.then(|| Offset::from_seconds(sign * (hours * 3600 + minutes * 60 + seconds)).ok())?
}

/// Java's short names, and the summer names of the American ones.
fn long_name(name: &str) -> &str {
    match name {
        "ACT" => "Australia/Darwin",
        "AET" => "Australia/Sydney",
        "AGT" => "America/Argentina/Buenos_Aires",
        "ART" => "Africa/Cairo",
        "AST" => "America/Anchorage",
        "BET" => "America/Sao_Paulo",
        "BST" => "Asia/Dhaka",
        "CAT" => "Africa/Harare",
        "CNT" => "America/St_Johns",
        "CST" | "CDT" => "America/Chicago",
        "CTT" => "Asia/Shanghai",
        "EAT" => "Africa/Addis_Ababa",
        "ECT" => "Europe/Paris",
        "EDT" => "America/New_York",
        "IET" => "America/Indiana/Indianapolis",
        "IST" => "Asia/Kolkata",
        "JST" => "Asia/Tokyo",
        "MDT" => "America/Denver",
        "MIT" => "Pacific/Apia",
        "NET" => "Asia/Yerevan",
        "NST" => "Pacific/Auckland",
        "PLT" => "Asia/Karachi",
        "PNT" => "America/Phoenix",
        "PRT" => "America/Puerto_Rico",
        "PST" | "PDT" => "America/Los_Angeles",
        "SST" => "Pacific/Guadalcanal",
        "VST" => "Asia/Ho_Chi_Minh",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn offset_hours(name: &str) -> f64 {
        let summer = Timestamp::from_second(1_625_000_000).unwrap();
        let zone = named(name).unwrap_or_else(|error| panic!("{error}"));
        f64::from(zone.to_offset(summer).seconds()) / 3600.0
    }

    #[test]
    fn names_of_every_sort() {
        for (name, hours) in [
            ("UTC", 0.0),
            ("GMT", 0.0),
            ("Z", 0.0),
            ("Europe/London", 1.0),
            ("America/Los_Angeles", -7.0),
            ("PDT", -7.0),
            ("PST", -7.0),
            ("Asia/Kolkata", 5.5),
            ("+2", 2.0),
            ("-02:30", -2.5),
            ("UTC+0530", 5.5),
            ("GMT-3", -3.0),
        ] {
            assert_eq!(offset_hours(name), hours, "{name}");
        }
        for name in ["", "Nowhere/City", "+", "+25", "+1:2:3:4", "UTCx", "++2"] {
            assert!(named(name).is_err(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_name_panics(name in "[UTCGMZ+:0-9ż-]{0,8}") {
            let _ = named(&name);
        }
    }
}
