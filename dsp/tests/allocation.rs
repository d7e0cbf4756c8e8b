//! What runs on a media thread takes no memory and gives none back once it is made.

use callwright_dsp::correlation;
use callwright_dsp::gain;
use callwright_dsp::limiter::Limiter;
use callwright_dsp::mix::Mixer;
use callwright_dsp::resample::{Rate, Resampler};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Of this thread alone: the harness's others allocate.
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: hands everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's promise, handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's promise, handed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn calls(act: impl FnOnce()) -> usize {
    let before = CALLS.get();
    act();
    CALLS.get() - before
}

#[test]
fn the_counter_counts() {
    // One to take, one to give back.
    assert_eq!(calls(|| drop(std::hint::black_box(Box::new(1)))), 2);
}

#[test]
fn a_resampler_takes_no_memory() {
    for from in Rate::ALL {
        for to in Rate::ALL {
            let (pcm, mut out) = ([1000; 960], [0; 5760]);
            let made = calls(|| {
                let mut resampler = Resampler::new(from, to);
                for length in [160, 1, 0, 960, 333] {
                    resampler.process(&pcm[..length], &mut out);
                }
                resampler.reset();
            });
            assert!(made == 0, "{from:?} to {to:?}: {made}");
        }
    }
}

#[test]
fn a_mixer_takes_no_memory() {
    let (pcm, mut out) = ([30_000; 160], [0; 160]);
    let made = calls(|| {
        let (mut mixer, mut limiter) = (Mixer::new(), Limiter::new(Rate::Hz8000));
        for _ in 0..3 {
            mixer.begin(160);
            mixer.add(&pcm);
            mixer.add(&pcm[..100]);
            mixer.add(&pcm);
            mixer.hear(&pcm, &mut limiter, &mut out);
            mixer.hear(&pcm[..100], &mut limiter, &mut out);
            mixer.hear(&[], &mut limiter, &mut out);
        }
    });
    assert_eq!(made, 0);
}

#[test]
fn correlation_and_gain_take_no_memory() {
    let (mut pcm, mut out) = ([100; 480], [0.0; 200]);
    let made = calls(|| {
        correlation::normalised(&pcm[..160], &pcm, &mut out);
        gain::ramp(&mut pcm, 1.0, 0.1);
    });
    assert_eq!(made, 0);
}
