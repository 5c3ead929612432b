//! Days and hours of the court's city.

use chrono::{DateTime, Datelike, Duration, NaiveDate, TimeZone, Utc};
use chrono_tz::America::Chicago;
use rand::Rng;
use rand::rngs::StdRng;

/// A working day of the coming half year, from the day after tomorrow on.
pub(super) fn coming_day(random: &mut StdRng, now: DateTime<Utc>) -> NaiveDate {
    let mut day = now.with_timezone(&Chicago).date_naive() + Duration::days(random.random_range(2..180));
    while day.weekday().number_from_monday() > 5 {
        day += Duration::days(1);
    }
    day
}

/// A working day of the past four months, yesterday at the latest.
pub(super) fn past_day(random: &mut StdRng, now: DateTime<Utc>) -> NaiveDate {
    let mut day = now.with_timezone(&Chicago).date_naive() - Duration::days(random.random_range(2..120));
    while day.weekday().number_from_monday() > 5 {
        day -= Duration::days(1);
    }
    day
}

/// A sitting on this day: at nine, at half past one, or, where a person has entered the day only, at local midnight.
pub(super) fn sitting(random: &mut StdRng, day: NaiveDate) -> DateTime<Utc> {
    let (hour, minute) = match random.random_range(0..10) {
        0..3 => (0, 0),
        3..8 => (9, 0),
        _ => (13, 30),
    };
    // No clock in Chicago is put forward or back at these hours.
    let local = day.and_hms_opt(hour, minute, 0).and_then(|time| Chicago.from_local_datetime(&time).single());
    local.map_or(DateTime::UNIX_EPOCH, |time| time.to_utc())
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_sitting_is_at_an_hour_of_the_city_in_summer_and_in_winter() {
        let mut random = StdRng::seed_from_u64(1);
        let mut hours = std::collections::BTreeSet::new();
        for day in ["2026-01-15", "2026-07-15"] {
            for _ in 0..50 {
                let sitting = sitting(&mut random, day.parse().unwrap()).with_timezone(&Chicago);
                assert_eq!(sitting.date_naive().to_string(), day);
                hours.insert(sitting.time().to_string());
            }
        }
        assert_eq!(hours.into_iter().collect::<Vec<_>>(), ["00:00:00", "09:00:00", "13:30:00"]);
    }

    #[test]
    fn coming_days_are_ahead_and_past_days_behind_and_both_are_working_days() {
        let mut random = StdRng::seed_from_u64(1);
        let now: DateTime<Utc> = "2026-11-20T03:00:00Z".parse().unwrap();
        let today = "2026-11-19".parse().unwrap();
        for _ in 0..300 {
            let (coming, past) = (coming_day(&mut random, now), past_day(&mut random, now));
            assert!(past < today && today < coming);
            assert!([past, coming].iter().all(|day| day.weekday().number_from_monday() <= 5));
        }
    }
}
