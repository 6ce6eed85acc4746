//! Where passages lie in the space of an embedding model, and which lie nearest to a question.
//!
//! A model turns a text into a direction; texts that mean much the same point much the same way, whatever their words. Only
//! the direction counts, so a vector is kept at unit length, a signed byte a component and one factor for all: a quarter
//! of what floats take, and 1/127 of the largest component is the most that one is off.
//!
//! [`Nearest`] compares a question with all of them, in slices. A sum over bytes is what compilers turn into vector
//! instructions by themselves: 384 components take some 30 ns.

use super::index::PassageId;
use super::pages::Pages;
use crate::base::Budget;

/// A direction.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitVector {
    /// What one step of a component is worth.
    scale: f32,
    steps: Box<[i8]>,
}

impl UnitVector {
    /// The direction of `components`; `None` if they point nowhere.
    pub fn new(components: &[f32]) -> Option<UnitVector> {
        let largest = components.iter().fold(0.0_f32, |largest, component| largest.max(component.abs()));
        // Not a number is never the larger one, so it is looked for; and what is tiny would divide by nothing.
        if !components.iter().all(|component| component.is_finite()) || largest < f32::MIN_POSITIVE {
            return None;
        }
        let relative = components.iter().map(|component| component / largest);
        let length = relative.clone().map(|part| part * part).sum::<f32>().sqrt();
        let steps = relative.map(|part| (part * STEPS).round() as i8).collect();
        Some(UnitVector { scale: 1.0 / (STEPS * length), steps })
    }

    /// Components.
    pub fn dimension(&self) -> usize {
        self.steps.len()
    }

    /// The cosine of the angle between the two, from -1 to 1: how much the texts have in common.
    pub fn likeness(&self, other: &UnitVector) -> f32 {
        dot(&self.steps, &other.steps) as f32 * self.scale * other.scale
    }

    /// As it is kept: the factor as four bytes, lowest first, then a byte a component.
    pub fn to_bytes(&self) -> Box<[u8]> {
        let steps = self.steps.iter().map(|step| *step as u8);
        self.scale.to_le_bytes().into_iter().chain(steps).collect()
    }

    /// What [`to_bytes`](UnitVector::to_bytes) made; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<UnitVector> {
        let (scale, steps) = bytes.split_first_chunk::<4>()?;
        let scale = f32::from_le_bytes(*scale);
        let is_whole = scale.is_finite() && scale > 0.0 && !steps.is_empty();
        is_whole.then(|| UnitVector { scale, steps: steps.iter().map(|step| *step as i8).collect() })
    }
}

/// The vectors of passages, all of one dimension.
#[derive(Debug, Default)]
pub struct Vectors {
    /// Of the first one that was put in; zero before.
    dimension: usize,
    /// `BLOCK` places each; a place is never moved.
    blocks: Vec<Block>,
    /// Places that were used and are free.
    free: Vec<u32>,
    /// By passage, its place.
    places: Pages<u32>,
    held: usize,
}

/// Some places: the steps of each behind one another.
#[derive(Debug)]
struct Block {
    steps: Vec<i8>,
    /// Of each place, its passage and its scale.
    heads: Vec<(PassageId, f32)>,
}

/// A vector of another dimension than those that are held: it is of another model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherDimension;

impl Vectors {
    /// Vectors held.
    pub fn len(&self) -> usize {
        self.held
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Their dimension; zero before the first.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The passage has a vector.
    pub fn has(&self, passage: PassageId) -> bool {
        self.places.get(passage.0 as usize).is_some_and(|place| *place != NO_PLACE)
    }

    /// How like the passage is to `wanted`, if it has a vector.
    pub fn likeness(&self, passage: PassageId, wanted: &UnitVector) -> Option<f32> {
        let place = *self.places.get(passage.0 as usize)? as usize;
        let (block, at) = (self.blocks.get(place / BLOCK)?, place % BLOCK);
        let (_, scale) = block.heads.get(at)?;
        let steps = block.steps.get(at * self.dimension..(at + 1) * self.dimension)?;
        let fits = wanted.dimension() == self.dimension;
        fits.then(|| dot(&wanted.steps, steps) as f32 * wanted.scale * scale)
    }

    /// Gives a passage its vector.
    ///
    /// # Errors
    /// [`OtherDimension`]
    pub fn put(&mut self, passage: PassageId, vector: &UnitVector) -> Result<(), OtherDimension> {
        if self.dimension == 0 {
            self.dimension = vector.dimension();
        }
        if vector.dimension() != self.dimension {
            return Err(OtherDimension);
        }
        self.remove(passage);
        while self.places.len() <= passage.0 as usize {
            self.places.push(NO_PLACE);
        }
        let place = self.free.pop().unwrap_or_else(|| self.new_place());
        let (block, at) = (place as usize / BLOCK, place as usize % BLOCK);
        if let Some(block) = self.blocks.get_mut(block) {
            block.heads[at] = (passage, vector.scale);
            block.steps[at * self.dimension..(at + 1) * self.dimension].copy_from_slice(&vector.steps);
        }
        if let Some(known) = self.places.get_mut(passage.0 as usize) {
            *known = place;
        }
        self.held += 1;
        Ok(())
    }

    /// Lets go of them all: those that come may have another dimension.
    pub fn clear(&mut self) {
        *self = Vectors::default();
    }

    /// Takes a passage's vector away, if it has one.
    pub fn remove(&mut self, passage: PassageId) {
        let Some(place) = self.places.get_mut(passage.0 as usize).filter(|place| **place != NO_PLACE) else {
            return;
        };
        let place = std::mem::replace(place, NO_PLACE);
        if let Some(block) = self.blocks.get_mut(place as usize / BLOCK) {
            block.heads[place as usize % BLOCK].0 = NO_PASSAGE;
        }
        self.free.push(place);
        self.held -= 1;
    }

    fn new_place(&mut self) -> u32 {
        if self.blocks.last().is_none_or(|block| block.heads.len() == BLOCK) {
            let (steps, heads) = (Vec::with_capacity(BLOCK * self.dimension), Vec::with_capacity(BLOCK));
            self.blocks.push(Block { steps, heads });
        }
        let full = (self.blocks.len() - 1) * BLOCK;
        let Some(block) = self.blocks.last_mut() else { return NO_PLACE };
        let place = full + block.heads.len();
        block.heads.push((NO_PASSAGE, 0.0));
        block.steps.resize(block.heads.len() * self.dimension, 0);
        u32::try_from(place).expect("a vector is over a byte of address space")
    }
}

/// A comparison of one direction with all vectors, under way.
#[derive(Debug)]
pub struct Nearest {
    wanted: UnitVector,
    most: usize,
    next: usize,
    /// The likest first.
    best: Vec<(f32, PassageId)>,
}

impl Nearest {
    /// Looks for the `most` passages that are likest to `wanted`.
    pub fn new(wanted: UnitVector, most: usize) -> Nearest {
        Nearest { wanted, most, next: 0, best: Vec::new() }
    }

    /// Compares until the budget is spent; true at the end.
    pub fn step(&mut self, vectors: &Vectors, budget: &mut Budget) -> bool {
        let dimension = vectors.dimension;
        if self.wanted.dimension() != dimension || dimension == 0 {
            return true;
        }
        while !budget.is_spent() {
            let Some(block) = vectors.blocks.get(self.next / BLOCK) else { return true };
            let first = self.next % BLOCK;
            let last = (first + COMPARED_PER_PIECE).min(block.heads.len());
            let steps = &block.steps[first * dimension..last * dimension];
            for ((passage, scale), steps) in
                block.heads[first..last].iter().zip(steps.chunks_exact(dimension))
            {
                let likeness = dot(&self.wanted.steps, steps) as f32 * self.wanted.scale * scale;
                if *passage != NO_PASSAGE {
                    self.keep(likeness, *passage);
                }
            }
            budget.spend(u32::try_from((last - first) * dimension).unwrap_or(u32::MAX) / STEPS_PER_UNIT + 1);
            if last < first + COMPARED_PER_PIECE && last < BLOCK {
                return true;
            }
            self.next += last - first;
        }
        false
    }

    fn keep(&mut self, likeness: f32, passage: PassageId) {
        if self.best.len() >= self.most && self.best.last().is_some_and(|(least, _)| likeness <= *least) {
            return;
        }
        let at = self.best.partition_point(|(other, _)| *other >= likeness);
        self.best.insert(at, (likeness, passage));
        self.best.truncate(self.most);
    }

    /// What is looked for.
    pub fn wanted(&self) -> &UnitVector {
        &self.wanted
    }

    /// The likest that were seen so far, the likest first.
    pub fn best(&self) -> &[(f32, PassageId)] {
        &self.best
    }
}

/// The sum of the products; it fits, as no dimension comes near 100,000.
fn dot(one: &[i8], other: &[i8]) -> i32 {
    one.iter().zip(other).map(|(one, other)| i32::from(*one) * i32::from(*other)).sum()
}

/// Steps from nothing to the largest component.
const STEPS: f32 = 127.0;
/// Places in a block: at 384 components, 100 kB.
const BLOCK: usize = 256;
const NO_PLACE: u32 = u32::MAX;
const NO_PASSAGE: PassageId = PassageId(u32::MAX);
/// Vectors that are compared before the budget is looked at, and components of them that take a unit (`benches/units.rs`).
const COMPARED_PER_PIECE: usize = 16;
const STEPS_PER_UNIT: u32 = 6000;

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(components: &[f32]) -> UnitVector {
        UnitVector::new(components).expect("it points somewhere")
    }

    fn nearest(vectors: &Vectors, wanted: &[f32], most: usize) -> Vec<u32> {
        let mut nearest = Nearest::new(vector(wanted), most);
        while !nearest.step(vectors, &mut Budget::new(1)) {}
        nearest.best().iter().map(|(_, passage)| passage.0).collect()
    }

    #[test]
    fn the_likeness_is_the_cosine_whatever_the_lengths() {
        let close = |one: &[f32], other: &[f32], cosine: f32| {
            let likeness = vector(one).likeness(&vector(other));
            assert!((likeness - cosine).abs() < 0.01, "{likeness} is not {cosine}");
        };
        close(&[1.0, 0.0], &[1e-9, 0.0], 1.0);
        close(&[1.0, 0.0], &[0.0, 1e9], 0.0);
        close(&[3.0, 4.0], &[-3.0, -4.0], -1.0);
        close(&[1.0, 1.0], &[1.0, 0.0], std::f32::consts::FRAC_1_SQRT_2);
        close(&[1e30, 1e30], &[1e30, 1e30], 1.0);
    }

    #[test]
    fn what_points_nowhere_is_no_direction() {
        for components in [&[][..], &[0.0, 0.0], &[1.0, f32::NAN], &[f32::INFINITY, 0.0]] {
            assert_eq!(UnitVector::new(components), None, "{components:?}");
        }
    }

    #[test]
    fn what_is_kept_comes_back_and_anything_else_does_not() {
        let one = vector(&[0.5, -0.25, 0.125]);
        assert_eq!(UnitVector::from_bytes(&one.to_bytes()), Some(one));
        for bytes in [&[][..], &[0, 0, 0], &[0, 0, 128, 63], &[0, 0, 0, 0, 1], &[0, 0, 192, 127, 1]] {
            assert_eq!(UnitVector::from_bytes(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn the_nearest_are_found_across_blocks_and_the_likest_comes_first() {
        let mut vectors = Vectors::default();
        for number in 0..600_u16 {
            let angle = f32::from(number) / 600.0;
            vectors.put(PassageId(number.into()), &vector(&[angle.cos(), angle.sin()])).unwrap();
        }
        assert_eq!(nearest(&vectors, &[1.0, 0.0], 1), [0]);
        let angle = 590.0_f32 / 600.0;
        let found = nearest(&vectors, &[angle.cos(), angle.sin()], 40);
        assert_eq!(found.len(), 40);
        assert!(found.contains(&590) && found.contains(&599) && !found.contains(&500));
    }

    #[test]
    fn one_that_was_taken_away_is_found_no_more_and_its_place_is_used_again() {
        let mut vectors = Vectors::default();
        for number in 0..3 {
            vectors.put(PassageId(number), &vector(&[1.0, number as f32])).unwrap();
        }
        vectors.remove(PassageId(1));
        vectors.remove(PassageId(1));
        assert_eq!((vectors.len(), nearest(&vectors, &[1.0, 1.0], 9).contains(&1)), (2, false));
        vectors.put(PassageId(7), &vector(&[1.0, 1.0])).unwrap();
        assert_eq!((vectors.len(), nearest(&vectors, &[1.0, 1.0], 1)), (3, vec![7]));
        assert_eq!(vectors.blocks.iter().map(|block| block.heads.len()).sum::<usize>(), 3);
    }

    #[test]
    fn a_vector_of_another_dimension_is_refused_and_compares_with_nothing() {
        let mut vectors = Vectors::default();
        vectors.put(PassageId(0), &vector(&[1.0, 0.0])).unwrap();
        assert_eq!(vectors.put(PassageId(1), &vector(&[1.0, 0.0, 0.0])), Err(OtherDimension));
        assert_eq!(nearest(&vectors, &[1.0, 0.0, 0.0], 5), [] as [u32; 0]);
    }
}
