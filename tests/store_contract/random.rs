//! A storage in memory and one in a file are given the same random batches, and must agree after each.

use oneloop::store::{CallState, Cause, Outcome, Record, SessionBounds};

use crate::support::*;

const SEEDS: u64 = 24;
const STEPS: u32 = 60;

/// xorshift64* (Vigna 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % bound
    }

    fn text(&mut self) -> &'static str {
        ["a", "b", ""][usize::try_from(self.below(3)).unwrap()]
    }

    /// Few ids, keys, numbers and texts, so that records often meet what is kept, and agree or contradict.
    fn record(&mut self) -> Record {
        let run = u128::from(1 + self.below(6));
        match self.below(22) {
            16 => admitted_to_call(run, ["u", "u", "v"][usize::try_from(self.below(3)).unwrap()]),
            17 => {
                let states = [CallState::Outstanding, CallState::Delivered, CallState::GivenUp];
                let state = states[usize::try_from(self.below(3)).unwrap()];
                called(run, state, u32::try_from(self.below(2)).unwrap())
            }
            0..=3 => {
                let key = [None, None, Some("k"), Some("l")][usize::try_from(self.below(4)).unwrap()];
                // One question to a run, most of the time.
                let question = if self.below(8) == 0 { "another" } else { "q" };
                admitted_as(run, question, key)
            }
            4..=6 => event(run, self.below(20), self.text()),
            7 => event(run, self.below(20), "c"),
            8..=10 => {
                let texts = ["x", "x", "x", "y"];
                inputs(run, self.below(3), &texts[..usize::try_from(self.below(5)).unwrap()])
            }
            11 | 12 => bounds(run, self.below(1000), u32::try_from(self.below(9)).unwrap()),
            13 | 14 => {
                let outcome = [Outcome::Completed, Outcome::Failed][usize::try_from(self.below(2)).unwrap()];
                ended_as(run, self.below(4), outcome, Some("why").filter(|_| outcome == Outcome::Failed))
            }
            15 => forgotten(run),
            _ => {
                let session = ["s", "t", "u"][usize::try_from(self.below(3)).unwrap()];
                let answer = if self.below(8) == 0 { "y" } else { "x" };
                let bounds = SessionBounds { messages_max: 3, bytes_max: 6 + self.below(9), sessions_max: 2 };
                said(run, session, answer, bounds)
            }
        }
    }
}

#[test]
fn memory_and_a_file_agree_on_everything() {
    let (mut kept_batches, mut refused_batches, mut swept_runs) = (0, 0, 0);
    for seed in 1..=SEEDS {
        println!("seed {seed}");
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (mut memory, mut file) = (InMemory::new(), InFile::new());
        for step in 0..STEPS {
            match random.below(13) {
                0 => file.reopen(),
                12 => {
                    let dropped = memory.storage().drop_session("s").unwrap();
                    assert_eq!(
                        file.storage().drop_session("s").unwrap(),
                        dropped,
                        "seed {seed}, step {step}"
                    );
                }
                1 => {
                    let (before, excess) = (random.below(6), random.below(3));
                    let runs_max = usize::try_from(random.below(4)).unwrap();
                    let swept = memory.sweep(before, excess, runs_max);
                    assert_eq!(file.sweep(before, excess, runs_max), swept, "seed {seed}, step {step}");
                    swept_runs += swept.runs;
                }
                _ => {
                    let records: Vec<_> = (0..random.below(5)).map(|_| random.record()).collect();
                    let (one, other) = (memory.try_commit(records.clone()), file.try_commit(records.clone()));
                    assert_eq!(one, other, "seed {seed}, step {step}: {records:?}");
                    match one {
                        Ok(()) => kept_batches += 1,
                        Err(trouble) => {
                            assert_eq!(trouble.cause, Cause::Contradiction);
                            refused_batches += 1;
                        }
                    }
                }
            }
            assert_eq!(memory.all(), file.all(), "seed {seed}, step {step}");
            for key in ["k", "l"] {
                let found = memory.storage().find_key(key).unwrap();
                assert_eq!(file.storage().find_key(key).unwrap(), found, "seed {seed}, step {step}");
            }
        }
    }
    println!("{kept_batches} batches were kept, {refused_batches} refused, {swept_runs} runs swept");
    assert!(kept_batches > 100 && refused_batches > 100 && swept_runs > 20, "the test tests nothing");
}
