//! The outcome for a reader: a sentence, percentiles, a histogram, and what went wrong.

use std::fmt;

use super::outcome::{Outcome, Percentiles};

/// The longest bar of the histogram, in columns.
const BAR: f64 = 40.0;

/// Formats microseconds with their unit: "85 µs", "1.20 ms", "2.50 s".
pub(super) fn time(micros: f64) -> String {
    match micros {
        ..1_000.0 => format!("{micros:.0} µs"),
        ..10_000.0 => format!("{:.2} ms", micros / 1e3),
        ..100_000.0 => format!("{:.1} ms", micros / 1e3),
        ..1_000_000.0 => format!("{:.0} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

impl fmt::Display for Percentiles {
    /// In one line, without its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Percentiles { p50, p90, p99, p99_9, most, .. } = *self;
        let [p50, p90, p99, p99_9, most] = [p50, p90, p99, p99_9, most].map(time);
        write!(f, "{p50:>9} {p90:>9} {p99:>9} {p99_9:>9} {most:>9}")
    }
}

impl Outcome {
    /// Says that the generator itself was late, if that may have changed the result.
    fn lateness(&self) -> Option<String> {
        let late = self.late_us.p99;
        (late > 1_000.0 && late > self.latency_us.p99 / 2.0).then(|| {
            format!(
                "The generator itself was late: one of 100 requests by {} or more.\n\
                 Repeat with a lower rate, on a machine that has less to do.\n",
                time(late)
            )
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { latency_us, errors, answered, requests, .. } = self;
        let Percentiles { p50, p99, most, .. } = *latency_us;
        if self.is_stopped {
            f.write_str("Stopped before the end: this is what there is.\n")?;
        }
        writeln!(
            f,
            "Half of the answers took up to {}, 99 % up to {}, all up to {}.",
            time(p50),
            time(p99),
            time(most)
        )?;
        match errors.is_none() {
            true => writeln!(f, "Every request was answered.")?,
            false => writeln!(f, "Not every request was answered: {errors}.")?,
        }
        self.lateness().iter().try_for_each(|late| f.write_str(late))?;

        let what = if self.http { "GET requests" } else { "lines" };
        let plural = if self.connections == 1 { "" } else { "s" };
        writeln!(
            f,
            "\n{} · {} connection{plural}, {} active\n{} bytes · {what} · {} a second for {} s",
            self.address, self.connections, self.active, self.size, self.rate, self.seconds
        )?;
        let a_second = *answered as f64 / self.seconds;
        writeln!(f, "answered {answered} of {requests}, {a_second:.0} a second\n")?;

        let head = ["50 %", "90 %", "99 %", "99.9 %", "most"];
        let head: String = head.iter().map(|name| format!("{name:>10}")).collect();
        writeln!(f, "latency                     {head}")?;
        writeln!(f, "  from when it was due       {latency_us}")?;
        writeln!(f, "  from when it was sent      {}", self.uncorrected_us)?;
        writeln!(f, "\nlatency from when it was due")?;
        for bucket in &self.histogram {
            let share = bucket.count as f64 / latency_us.count.max(1) as f64;
            let bar = "▇".repeat((share * BAR).round() as usize);
            let line =
                format!("  up to {:>8} {:>5.1} % {bar}", time(bucket.up_to_us), share * 100.0);
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn times_have_their_unit() {
        let times = [85.4, 999.0, 1_200.0, 45_600.0, 123_000.0, 2_500_000.0].map(time);
        assert_eq!(times, ["85 µs", "999 µs", "1.20 ms", "45.6 ms", "123 ms", "2.50 s"]);
    }
}
