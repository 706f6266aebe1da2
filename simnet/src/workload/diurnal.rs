//! Messages at a rate that follows the hour of the day where their sender is.

use super::{Send, draft};
use crate::network::UserIdx;
use crate::population::{Contacts, Population, any_contact};
use crate::scenario::{Diurnal, Rate};
use crate::seed::{Streams, below, below_wide, exponential};
use crate::units::{DAY, HOUR, MINUTE};

/// A day's course in one time zone.
pub(crate) struct Day {
    hours: [u32; 24],
    /// The local time of day at which sending begins.
    begin_ns: u64,
    /// Weight × nanoseconds of 24 hours.
    day_sum: u128,
}

impl Day {
    /// Where clocks are so far ahead of UTC.
    pub(crate) fn new(diurnal: &Diurnal, ahead_minutes: i32) -> Self {
        let minutes = (i64::from(diurnal.begin_minutes) + i64::from(ahead_minutes)).rem_euclid(24 * 60);
        let day_sum = diurnal.hours.iter().map(|&weight| u128::from(weight) * u128::from(HOUR)).sum();
        Self { hours: diurnal.hours, begin_ns: minutes.unsigned_abs() * MINUTE, day_sum }
    }

    /// The first 24 hours of sending by local hours: beginning, end and weight.
    fn first_day(&self) -> impl Iterator<Item = (u64, u64, u32)> {
        let mut from = 0;
        std::iter::from_fn(move || {
            let local = self.begin_ns + from;
            let until = (from + HOUR - local % HOUR).min(DAY);
            let weight = self.hours.get((local / HOUR % 24) as usize).copied().unwrap_or(0);
            let part = (from < until).then_some((from, until, weight));
            from = until;
            part
        })
    }

    /// The weight of a time after the beginning.
    fn weight(&self, at_ns: u64) -> u32 {
        let hour = (self.begin_ns + at_ns % DAY) / HOUR % 24;
        self.hours.get(hour as usize).copied().unwrap_or(0)
    }

    /// Weight × nanoseconds up to a time.
    fn sum(&self, until_ns: u64) -> u128 {
        let rest_ns = until_ns % DAY;
        let parts = self.first_day().map(|(from, until, weight)| {
            let days = u128::from(until - from) * u128::from(until_ns / DAY);
            u128::from(weight) * (days + u128::from(until.min(rest_ns).saturating_sub(from)))
        });
        parts.sum()
    }

    /// The time at which the sum passes `sum`.
    fn time(&self, sum: u128) -> u64 {
        let day_sum = self.day_sum.max(1);
        let mut rest = sum % day_sum;
        let days = u64::try_from(sum / day_sum).unwrap_or(u64::MAX);
        let mut at_ns = 0;
        for (from, until, weight) in self.first_day() {
            let part = u128::from(until - from) * u128::from(weight);
            if rest < part {
                at_ns = from + (rest / u128::from(weight)) as u64;
                break;
            }
            rest -= part;
        }
        days.saturating_mul(DAY).saturating_add(at_ns)
    }

    /// The mean weight up to a time, rounded up, and the largest.
    pub(crate) fn mean_and_peak(&self, until_ns: u64) -> (u64, u64) {
        let met = self.first_day().filter(|&(from, ..)| from < until_ns);
        let peak = met.map(|(.., weight)| u64::from(weight)).max().unwrap_or(0);
        let mean = self.sum(until_ns).div_ceil(u128::from(until_ns.max(1)));
        (u64::try_from(mean).unwrap_or(u64::MAX), peak)
    }
}

/// Each message to a contact drawn uniformly.
pub(super) fn drafts(
    population: &Population,
    contacts: &Contacts,
    diurnal: &Diurnal,
    duration_ns: u64,
    streams: &Streams,
) -> Vec<Send> {
    let days: Vec<Day> = diurnal.ahead_minutes.iter().map(|&ahead| Day::new(diurnal, ahead)).collect();
    let region = |user: UserIdx| population.user(user).map_or(0, |user| user.region.index());
    let mut drafts = Vec::new();
    match diurnal.rate {
        Rate::Total(messages) => {
            // Given how many there are, messages are independent; a sender and time is as likely as the weight
            // of the sender's hour. One ticket draws both: first come the users of the first region.
            let mut senders: Vec<Vec<UserIdx>> = vec![Vec::new(); days.len()];
            for user in contacts.users() {
                if let Some(of_region) = senders.get_mut(region(user)) {
                    of_region.push(user);
                }
            }
            let sums: Vec<u128> = days.iter().map(|day| day.sum(duration_ns)).collect();
            let of_region = |(sum, senders): (&u128, &Vec<UserIdx>)| sum * senders.len() as u128;
            let all: u128 = sums.iter().zip(&senders).map(of_region).sum();
            if all == 0 {
                return drafts;
            }
            let mut rng = streams.stream("messages");
            for _ in 0..messages {
                let mut ticket = below_wide(&mut rng, all);
                for ((day, sum), senders) in days.iter().zip(&sums).zip(&senders) {
                    let tickets = of_region((sum, senders));
                    if ticket >= tickets {
                        ticket -= tickets;
                        continue;
                    }
                    let sender = senders.get((ticket / sum) as usize);
                    let contact = sender.and_then(|&sender| any_contact(contacts.of(sender), &mut rng));
                    if let Some((conversation, from_a)) = contact {
                        drafts.push(draft(day.time(ticket % sum), conversation, from_a));
                    }
                    break;
                }
            }
        }
        Rate::ThousandthsPerUserHour(thousandths) => {
            // Each user's process at the rate of the busiest hour, of which every hour keeps its share.
            let peak = diurnal.hours.iter().copied().max().unwrap_or(0).max(1);
            let sum: u128 = diurnal.hours.iter().map(|&weight| u128::from(weight)).sum();
            let mean =
                u128::from(HOUR) * 1000 * sum / (24 * u128::from(peak) * u128::from(thousandths.max(1)));
            let mean = u64::try_from(mean).unwrap_or(u64::MAX);
            for user in contacts.users() {
                let Some(day) = days.get(region(user)) else { continue };
                let mut rng = streams.stream(&format!("user/{}/messages", user.0));
                let mut at_ns = exponential(&mut rng, mean);
                while at_ns < duration_ns {
                    if below(&mut rng, u64::from(peak)) < u64::from(day.weight(at_ns)) {
                        let Some((conversation, from_a)) = any_contact(contacts.of(user), &mut rng) else {
                            break;
                        };
                        drafts.push(draft(at_ns, conversation, from_a));
                    }
                    at_ns = at_ns.saturating_add(exponential(&mut rng, mean).max(1));
                }
            }
        }
    }
    drafts
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, plan};
    use super::*;
    use crate::scenario::tests::scenario;
    use crate::scenario::{Graph, Scenario, Workload};

    fn course(rate: Rate) -> Diurnal {
        let mut hours = [0; 24];
        (hours[8], hours[9], hours[20]) = (1000, 2000, 3000);
        Diurnal { rate, hours, ahead_minutes: vec![0, -330], begin_minutes: 7 * 60 }
    }

    fn in_two_zones(rate: Rate, duration_ns: u64) -> Scenario {
        let mut scenario = scenario("regions = [\"east\", \"west\"]");
        scenario.users.count = 400;
        scenario.users.graph = Graph::Random { conversations: 1200 };
        scenario.workload = Workload::Diurnal(course(rate));
        scenario.duration_ns = duration_ns;
        scenario
    }

    #[test]
    fn the_time_of_a_sum_is_where_it_is_passed() {
        for ahead in [0, 90, -330, 14 * 60] {
            let day = Day::new(&course(Rate::Total(1)), ahead);
            for at_ns in [0, 1, HOUR - 1, HOUR, 3 * HOUR / 2, 13 * HOUR + 7, DAY, 3 * DAY + 5 * HOUR / 2] {
                let (sum, weight) = (day.sum(at_ns), u128::from(day.weight(at_ns)));
                assert_eq!(day.sum(at_ns + 1) - sum, weight);
                if weight > 0 {
                    assert_eq!(day.time(sum), at_ns);
                }
            }
            assert_eq!(day.sum(2 * DAY), 2 * 6000 * u128::from(HOUR));
        }
    }

    /// 24,000 messages in three days: a sixth, a third and a half of them in the hours 8, 9 and 20 of either
    /// zone, ± 58, 73 and 77.
    #[test]
    fn messages_follow_the_hour_of_their_senders_region() {
        for rate in [Rate::Total(24_000), Rate::ThousandthsPerUserHour(833)] {
            let scenario = in_two_zones(rate, 3 * DAY);
            let plan = plan(&scenario, 1);
            check(&scenario, &plan);
            let mut hours = [0u32; 24];
            for send in &plan.sends {
                let (from, _) = plan.population.conversation(send.conversation).unwrap().ends(send.from_a);
                let behind = if plan.population.user(from).unwrap().region.0 == 0 { 0 } else { 330 * MINUTE };
                hours[((send.at_ns + 31 * HOUR - behind) / HOUR % 24) as usize] += 1;
            }
            let all = hours.iter().sum::<u32>();
            assert!((23_300..24_700).contains(&all), "{rate:?}: {all}");
            if rate == Rate::Total(24_000) {
                assert_eq!(all, 24_000);
            }
            for (hour, sixths) in [(8, 1.0), (9, 2.0), (20, 3.0)] {
                let share = f64::from(hours[hour]) / f64::from(all);
                assert!((share - sixths / 6.0).abs() < 0.013, "{rate:?}: {share} at {hour}");
            }
            assert_eq!(hours[8] + hours[9] + hours[20], all);
        }
    }

    /// From 7:00 to 8:30 UTC the west, 5½ hours behind, has 1:30 to 3:00.
    #[test]
    fn who_sleeps_sends_nothing() {
        let scenario = in_two_zones(Rate::Total(500), 3 * HOUR / 2);
        let plan = plan(&scenario, 1);
        assert_eq!(plan.sends.len(), 500);
        assert!(plan.sends.iter().all(|send| send.at_ns >= HOUR));
    }
}
