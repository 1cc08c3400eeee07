//! Decides which values of a pass are stored for its reverse pass and which are recomputed: gradient checkpointing (Chen et
//! al., 2016, arXiv 1604.06174).

use std::ops::Range;

use walk_arch::Network;

use super::fusion::FusionGroup;
use crate::executor::Wire;

/// A part of a network's layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Its groups, in the order of the forward pass.
    pub(super) groups: Range<usize>,
    /// Whether the reverse pass recomputes its values from those that it reads.
    pub(super) again: bool,
    /// The values that it reads but does not compute.
    pub(super) reads: Vec<usize>,
    /// The values that it computes and that are read later.
    pub(super) writes: Vec<usize>,
}

/// Segments, and their peak memory in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segments {
    pub(super) segments: Vec<Segment>,
    /// Peak bytes of values and their gradients during the pass and its reverse pass.
    pub(super) bytes: usize,
}

/// Number of gradients held by a layer's reverse pass, including idle buffers kept for reuse.
const GRADIENTS: usize = 3;

/// The numbers of segments to try.
const CUTS: [usize; 5] = [4, 8, 16, 32, 64];

impl Segments {
    /// Recomputes as little as possible such that values and their gradients need at most `budget` bytes; if that is
    /// impossible, needs as few bytes as possible. An element of a sample's value needs `unit` bytes.
    pub(super) fn within(budget: usize, network: &Network, groups: &[FusionGroup], unit: usize) -> Self {
        let flow = Flow::new(network, groups, unit);
        let (all, bytes) = (0..groups.len(), flow.peak(0..groups.len()));
        if bytes <= budget {
            return Self { segments: vec![flow.segment(all, false)], bytes };
        }
        let choices = CUTS.iter().flat_map(|&cuts| flow.choices(cuts));
        let cost = |choice: &Choice| (choice.bytes.max(budget), choice.again);
        let best = choices.min_by_key(cost).expect("a network has a layer");
        let segments = best.parts.into_iter().enumerate();
        let segments = segments.map(|(i, part)| flow.segment(part, i < best.first_kept)).collect();
        Self { segments, bytes: best.bytes }
    }
}

/// A way to cut a network; the parts before `first_kept` are recomputed.
struct Choice {
    parts: Vec<Range<usize>>,
    first_kept: usize,
    /// Peak bytes.
    bytes: usize,
    /// The bytes of values that are recomputed.
    again: usize,
}

/// The values between the groups of a network.
struct Flow<'a> {
    wires: Vec<&'a Wire>,
    /// Bytes by value.
    bytes: Vec<usize>,
    /// By value, the last group that reads it; the number of groups for the output.
    last_read: Vec<usize>,
}

impl<'a> Flow<'a> {
    fn new(network: &Network, groups: &'a [FusionGroup], unit: usize) -> Self {
        let wires: Vec<&Wire> = groups.iter().map(|group| &group.wire).collect();
        let bytes: Vec<usize> = network.layers().iter().map(|layer| layer.len() * unit).collect();
        let mut last_read = vec![0; bytes.len()];
        for (place, wire) in wires.iter().enumerate() {
            wire.inputs.iter().for_each(|&input| last_read[input] = place);
        }
        last_read[network.output()] = wires.len();
        Self { wires, bytes, last_read }
    }

    /// The values that are written before group `place` and read by it or after it, except the network's input.
    fn live(&self, place: usize) -> impl Iterator<Item = usize> + '_ {
        self.wires[..place].iter().map(|wire| wire.value).filter(move |&value| self.last_read[value] >= place)
    }

    fn live_bytes(&self, place: usize) -> usize {
        self.live(place).map(|value| self.bytes[value]).sum()
    }

    /// Bytes of the values that groups write.
    fn held(&self, groups: Range<usize>) -> usize {
        self.wires[groups].iter().map(|wire| self.bytes[wire.value]).sum()
    }

    /// Peak bytes while groups are reversed: their values, which are released one after another, and the gradients.
    fn peak(&self, groups: Range<usize>) -> usize {
        let at = |place: usize| {
            let wire = self.wires[place];
            let largest = wire.inputs.iter().chain([&wire.value]).map(|&value| self.bytes[value]).max();
            self.held(groups.start..place + 1) + GRADIENTS * largest.unwrap_or(0)
        };
        groups.clone().map(at).max().unwrap_or(0)
    }

    /// About `cuts` parts of the same size, cut where little is read after the cut.
    fn parts(&self, cuts: usize) -> Vec<Range<usize>> {
        let groups = self.wires.len();
        let size = self.held(0..groups) / cuts;
        let (mut parts, mut start) = (vec![], 0);
        for end in 1..groups {
            let held = self.held(start..end);
            if held >= size && 2 * self.live_bytes(end) <= held {
                parts.push(start..end);
                start = end;
            }
        }
        parts.push(start..groups);
        parts
    }

    /// The possible choices for these parts. The last part is always stored, since the reverse pass needs it first.
    fn choices(&self, cuts: usize) -> Vec<Choice> {
        let parts = self.parts(cuts);
        let choice = |first_kept: usize| {
            let boundaries =
                |until: usize| -> usize { parts[..until].iter().map(|part| self.live_bytes(part.end)).sum() };
            let again = parts[..first_kept].iter().map(|part| self.held(part.clone())).sum();
            let kept = boundaries(first_kept) + self.peak(parts[first_kept].start..self.wires.len());
            let redone = (0..first_kept).map(|i| boundaries(i) + self.peak(parts[i].clone()));
            let bytes = redone.fold(kept, usize::max);
            Choice { parts: parts.clone(), first_kept, bytes, again }
        };
        (0..parts.len()).map(choice).collect()
    }

    fn segment(&self, groups: Range<usize>, again: bool) -> Segment {
        let wires = &self.wires[groups.clone()];
        let written: Vec<usize> = wires.iter().map(|wire| wire.value).collect();
        let mut reads: Vec<usize> = wires.iter().flat_map(|wire| &wire.inputs).copied().collect();
        reads.sort_unstable();
        reads.dedup();
        reads.retain(|value| !written.contains(value));
        let writes = written.into_iter().filter(|&value| self.last_read[value] >= groups.end).collect();
        Segment { groups, again, reads, writes }
    }
}

#[cfg(test)]
mod tests {
    use walk_arch::Activation;

    use super::*;
    use crate::fused::fusion::fused;
    use crate::test_support::{image_network, preactivation_network};

    fn cut(budget: usize) -> Segments {
        let network = preactivation_network(Activation::Relu);
        Segments::within(budget, &network, &fused(&network), 1)
    }

    #[test]
    fn everything_is_kept_within_the_budget() {
        // eight values of 8x6x6 or 8x3x3 and the outputs
        let whole = cut(1 << 20);
        assert_eq!(whole.segments.len(), 1);
        assert!(!whole.segments[0].again && whole.segments[0].writes.len() == 1);
        let less = cut(whole.bytes - 1);
        assert!(less.segments[0].again && less.bytes < whole.bytes);
        // no budget: as few bytes as possible, of which the last part's are never computed again
        let least = cut(0);
        assert!(least.bytes <= less.bytes && !least.segments.last().unwrap().again);
    }

    #[test]
    fn segments_pass_on_what_is_read_after_them() {
        for network in [image_network(Activation::Relu), preactivation_network(Activation::Silu)] {
            let groups = fused(&network);
            let found = Segments::within(0, &network, &groups, 4).segments;
            let mut known = vec![0];
            let mut next = 0;
            for segment in &found {
                assert_eq!(segment.groups.start, next);
                next = segment.groups.end;
                assert!(segment.reads.iter().all(|value| known.contains(value)), "{segment:?}");
                known.extend(&segment.writes);
            }
            assert!(next == groups.len() && known.contains(&network.output()));
        }
    }
}
