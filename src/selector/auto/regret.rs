//! When to leave one of two choices for the other.

/// Decides between two choices whose costs are known only afterwards, and where each change of the
/// choice has a price.
///
/// It is the rule of the skier who rents until the rent would have paid for a pair of skis. The
/// regret is what the present choice has cost more than the other would have. It never counts for more
/// than the price of one change, in both directions: so an old advantage is soon used up. When it
/// reaches the price, the choice is changed.
///
/// What is paid, changes included, is at most four times what the best plan would have paid that
/// knew all costs before, and four prices: as long as the two costs of one step differ by no more
/// than the price. (It is the work function rule for two states. Where a step is known before it is
/// paid, the factor is three, and no rule has a better one.)
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Regret {
    regret: f64,
}

impl Regret {
    /// Adds the costs of a step: what was paid, and what the other choice would have cost. Returns
    /// whether to change the choice now, for `price`.
    pub(super) fn add(&mut self, paid: f64, other: f64, price: f64) -> bool {
        self.regret = (self.regret + paid - other).clamp(-price, price);
        self.regret >= price
    }

    /// Notes that the choice was changed, or that it could not be: then it is not tried again before
    /// it would have paid twice.
    pub(super) fn reset(&mut self) {
        self.regret = -self.regret;
    }
}

#[cfg(test)]
mod tests {
    use super::Regret;

    /// Returns what the rule pays for `steps`, each with the costs of both choices.
    fn paid(steps: &[[f64; 2]], price: f64) -> f64 {
        let (mut regret, mut choice, mut paid) = (Regret::default(), 0, 0.0);
        for step in steps {
            paid += step[choice];
            if regret.add(step[choice], step[1 - choice], price) {
                (choice, paid) = (1 - choice, paid + price);
                regret.reset();
            }
        }
        paid
    }

    /// Returns what the best plan pays.
    fn best(steps: &[[f64; 2]], price: f64) -> f64 {
        let plan = steps.iter().fold([0.0, price], |[a, b]: [f64; 2], step| {
            let (a, b) = (a + step[0], b + step[1]);
            [a.min(b + price), b.min(a + price)]
        });
        plan[0].min(plan[1])
    }

    #[test]
    fn a_steady_load_is_left_once_and_only_when_that_pays() {
        let steps = [[3.0, 1.0]; 1_000];
        assert_eq!(paid(&steps, 100.0), 50.0 * 3.0 + 100.0 + 950.0);
        assert_eq!(paid(&steps[..49], 100.0), 49.0 * 3.0);
        assert_eq!(paid(&[[1.0, 3.0]; 1_000], 100.0), 1_000.0);
        assert_eq!(paid(&[[1.0, 1.0]; 1_000], 100.0), 1_000.0);
    }

    #[test]
    fn a_long_advantage_does_not_delay_the_change() {
        let steps = [vec![[1.0, 3.0]; 10_000], vec![[3.0, 1.0]; 1_000]].concat();
        let before = 10_000.0 + 100.0 * 3.0; // the regret rises from -100 to 100
        assert_eq!(paid(&steps, 100.0), before + 100.0 + 900.0);
    }

    #[test]
    fn it_never_pays_more_than_four_times_the_best_plan() {
        let price = 64.0;
        let mut worst: f64 = 0.0;
        for seed in 1..=4_000_u64 {
            let mut dice = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mut roll = |below: u64| {
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                dice % below
            };
            let mut steps = Vec::new();
            while steps.len() < 400 {
                let (length, cost, cheaper) = (1 + roll(60), roll(65) as f64, roll(2) as usize);
                for _ in 0..length {
                    let mut step = [cost; 2];
                    step[cheaper] = 0.0;
                    steps.push(step);
                }
            }
            let (paid, best) = (paid(&steps, price), best(&steps, price));
            assert!(paid <= 4.0 * best + 4.0 * price, "seed {seed}: {paid} and {best}");
            worst = worst.max(paid / best);
        }
        assert!(worst > 1.5, "the loads tried were harmless: {worst}");
    }

    #[test]
    fn the_worst_load_for_it_costs_no_more_than_four_times_as_much() {
        // Whatever is chosen costs a price, and the other choice nothing.
        let (mut regret, mut choice, mut paid, mut steps) = (Regret::default(), 0, 0.0, Vec::new());
        for _ in 0..1_000 {
            let mut step = [0.0; 2];
            step[choice] = 1.0;
            paid += 1.0;
            if regret.add(1.0, 0.0, 1.0) {
                (choice, paid) = (1 - choice, paid + 1.0);
                regret.reset();
            }
            steps.push(step);
        }
        let best = best(&steps, 1.0);
        assert!(paid > 2.0 * best && paid <= 4.0 * best + 4.0, "{paid} and {best}");
    }
}
