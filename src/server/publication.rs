//! A message for many: each form of its frame is encoded once, when the first receiver needs it, and shared by all who take it.

use super::outbox::{SharedFrame, Spares};
use crate::websocket::deflate::Deflater;
use crate::websocket::frame::{Opcode, write_frame};

/// See the module.
pub(crate) struct Publication<'a> {
    pub(crate) opcode: Opcode,
    pub(crate) payload: &'a [u8],
    /// Whether those who agreed to compression get it compressed.
    pub(crate) compress: bool,
    plain: Option<SharedFrame>,
    /// By the window bits of the receiver: 8 to 15.
    compressed: [Option<SharedFrame>; 8],
}

impl<'a> Publication<'a> {
    pub(crate) fn new(opcode: Opcode, payload: &'a [u8], compress: bool) -> Self {
        Self { opcode, payload, compress, plain: None, compressed: Default::default() }
    }

    /// The frame for those who get it uncompressed.
    pub(crate) fn plain(&mut self, spares: &mut Spares) -> &SharedFrame {
        let Self { opcode, payload, .. } = *self;
        self.plain
            .get_or_insert_with(|| SharedFrame::new(spares, |frame| write_frame(frame, opcode, payload)))
    }

    /// The frame for those who keep no context and have a window of so many bits.
    pub(crate) fn compressed(
        &mut self,
        spares: &mut Spares,
        deflater: &mut Deflater,
        window_bits: u8,
    ) -> &SharedFrame {
        let Self { opcode, payload, .. } = *self;
        self.compressed[usize::from(window_bits - MIN_WINDOW_BITS)].get_or_insert_with(|| {
            SharedFrame::new(spares, |frame| deflater.write_frame(frame, opcode, payload, window_bits))
        })
    }

    /// All receivers have it.
    pub(crate) fn recycle(self, spares: &mut Spares) {
        for frame in self.compressed.into_iter().chain([self.plain]).flatten() {
            frame.recycle(spares);
        }
    }
}

const MIN_WINDOW_BITS: u8 = 8;
