//! How much work one turn may do, counted in units and not in time, so that a simulated run repeats exactly.

/// Units of work left in this slice. A unit is about a microsecond (`benches/units.rs` calibrates it).
///
/// A task spends before or just after each small piece of work and yields once [`is_spent`](Budget::is_spent);
/// it may overdraw by the last piece, so pieces are kept small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    left: u32,
    overdrawn: u32,
}

impl Budget {
    /// A budget of so many units.
    pub fn new(units: u32) -> Budget {
        Budget { left: units, overdrawn: 0 }
    }

    /// Takes `units`; what is not there is remembered as overdrawn.
    pub fn spend(&mut self, units: u32) {
        let taken = units.min(self.left);
        self.left -= taken;
        self.overdrawn = self.overdrawn.saturating_add(units - taken);
    }

    /// Nothing is left: the task should yield.
    pub fn is_spent(&self) -> bool {
        self.left == 0
    }

    /// Units left.
    pub fn left(&self) -> u32 {
        self.left
    }

    /// Units spent beyond what was there.
    pub fn overdrawn(&self) -> u32 {
        self.overdrawn
    }
}
