//! `[probe.cosine]`: cos(g_t, g_{t-1}) of consecutive gradients (paper, Eq. 5).

use walk_core::probes::cosine::cosine;

use super::prelude::*;

/// The angle between the gradients of consecutive updates, without weight decay and, as in the authors' code, with λθ added to
/// each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CosineSection {
    /// When to measure.
    #[serde(default)]
    pub when: Schedule,
}

impl Section for CosineSection {
    fn probe<'a>(&self, context: ProbeContext<'a>) -> Result<Box<dyn Probe + 'a>, TrainError> {
        let (decay, n_params) = (context.optim.weight_decay as f32, context.n_params());
        Ok(Box::new(CosineProbe { decay, n_params, last: None, row: None }))
    }
}

struct CosineProbe {
    decay: f32,
    n_params: usize,
    /// The gradient of the previous update, without and with weight decay.
    last: Option<[Vec<f32>; 2]>,
    row: Option<rows::Cosine>,
}

impl Probe for CosineProbe {
    fn work(&self) -> Work {
        Work::default()
    }

    fn remembered(&self, _span: Span) -> usize {
        2
    }

    fn observe(&mut self, update: &Update<'_>) -> Result<(), TrainError> {
        let decayed = update.grad.iter().zip(&update.before.params).map(|(g, p)| g + self.decay * p);
        let gradients = [update.grad.to_vec(), decayed.collect()];
        self.row = self.last.as_ref().map(|last| {
            let cosine = |which: usize| cosine(&last[which], &gradients[which]).into();
            rows::Cosine { cosine: cosine(0), cosine_with_decay: cosine(1) }
        });
        self.last = Some(gradients);
        Ok(())
    }

    fn memory(&self) -> Memory {
        let Some([plain, decayed]) = self.last.clone() else { return Memory::default() };
        Memory::default().with("last", Values::F32(plain)).with("last_with_decay", Values::F32(decayed))
    }

    fn restore(&mut self, memory: &Memory) -> Result<(), TrainError> {
        let list = |name: &str| memory.f32s(name, self.n_params);
        self.last = list("last")?.zip(list("last_with_decay")?).map(|(plain, decayed)| [plain, decayed]);
        Ok(())
    }

    fn measure(&mut self, _: &Update<'_>) -> Result<Vec<Kind>, TrainError> {
        // the first update has no predecessor
        Ok(self.row.clone().map(Kind::from).into_iter().collect())
    }
}
