"""Fitting: transformers' Trainer, from the newest complete checkpoint to the best one.

Batches are planned for all epochs before the first step, so that a resumed training reads what an
uninterrupted one would have read. A loss that is no number ends it. On a CPU, with the same number
of threads, a training that was killed ends with the very same weights.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader
from transformers import (
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from personalm.disks import full_disk_of_libraries_in_words
from personalm.errors import TrainingError
from personalm.generation.memory import is_out_of_memory
from personalm.training.batches import collate, plan_batches
from personalm.training.checkpoints import Checkpoints, best_of, has_lost_patience
from personalm.training.quiet import quiet_libraries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from personalm.settings import Training
    from personalm.training.batches import Plan
    from personalm.training.checkpoints import Checkpoint
    from personalm.training.examples import Example
    from personalm.training.networks import Trainee
    from personalm.training.progress import TrainingProgress

_RATES = {"lora": 3e-4, "full": 5e-5, "scratch": 1e-3}
"""Learning rates, where the settings name none."""

_SECONDS_AN_HOUR = 3_600.0


def learning_rate_of(training: Training) -> float:
    """Return the highest learning rate."""
    return training.learning_rate or _RATES[training.method]


def fit(
    trainee: Trainee,
    *,
    examples: Sequence[Example],
    validation: Sequence[Example],
    training: Training,
    seed: int,
    checkpoints: Checkpoints,
    progress: TrainingProgress,
) -> Checkpoint:
    """Train until the epochs, the patience or the time are over; return the best checkpoint.

    Raises TrainingError for a loss that is no finite number, and where memory runs out.
    """
    plan = plan_batches(
        examples, batch_tokens=training.batch_tokens, epochs=training.epochs, seed=seed
    )
    num_steps = -(-len(plan) // training.accumulation)
    newest = next(reversed(checkpoints.all()), None)
    progress.begin_training(num_steps, done=newest.step if newest else 0)
    if newest is None or not _is_over(newest, num_steps, training):
        with quiet_libraries():
            trainer = _Fitting(
                trainee=trainee,
                examples=examples,
                validation=validation,
                plan=plan,
                training=training,
                arguments=_arguments(trainee, training, checkpoints, num_steps, seed),
            )
            watch = _Watch(
                training=training,
                step_tokens=_count_step_tokens(plan, examples, training.accumulation),
                checkpoints=checkpoints,
                newest=newest,
                progress=progress,
            )
            trainer.add_callback(watch)
            for printer in (PrinterCallback, ProgressCallback):
                trainer.remove_callback(printer)
            with full_disk_of_libraries_in_words(checkpoints.folder), _memory_in_words():
                trainer.train(resume_from_checkpoint=str(newest.folder) if newest else None)
    return best_of(checkpoints.all())


@contextmanager
def _memory_in_words() -> Iterator[None]:
    """Turn memory that ran out into a TrainingError."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            "memory ran out in training; nothing is published",
            remedy="Lower training.batch_tokens, which is read at a time (raise "
            "training.accumulation for as large a step), or training.max_tokens of an example.",
        ) from None


def _is_over(newest: Checkpoint, num_steps: int, training: Training) -> bool:
    return (
        newest.step >= num_steps
        or has_lost_patience(newest.losses, training.patience)
        or _is_late(newest.seconds, training)
    )


def _is_late(seconds: float, training: Training) -> bool:
    return training.max_hours is not None and seconds >= training.max_hours * _SECONDS_AN_HOUR


class _Fitting(Trainer):
    """A Trainer that reads planned batches and stops at a loss that is no number."""

    def __init__(
        self,
        *,
        trainee: Trainee,
        examples: Sequence[Example],
        validation: Sequence[Example],
        plan: Plan,
        training: Training,
        arguments: TrainingArguments,
    ) -> None:
        super().__init__(
            model=trainee.network,
            args=arguments,
            train_dataset=examples,
            eval_dataset=validation,
            data_collator=partial(collate, pad_id=trainee.base.pad_id),
        )
        self._plan = plan
        self._check_plan = plan_batches(validation, batch_tokens=training.batch_tokens)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the planned batches of all epochs, in one row."""
        return self._load(self.train_dataset, self._plan)

    def get_eval_dataloader(self, eval_dataset: object = None) -> DataLoader[Any]:
        """Return the validation texts, by length."""
        return self._load(eval_dataset or self.eval_dataset, self._check_plan)

    def _load(self, examples: Any, plan: Plan) -> DataLoader[Any]:  # noqa: ANN401 - Trainer's own type
        return DataLoader(
            examples,
            batch_sampler=plan,
            collate_fn=self.data_collator,
            # Its own generator: a loader draws a number that would else be the dropout's.
            generator=torch.Generator().manual_seed(0),
        )

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:  # noqa: ANN401 - Trainer's
        """Do one batch. Raises TrainingError where its loss is no number."""
        loss = super().training_step(*args, **kwargs)
        if not torch.isfinite(loss):
            raise _no_number(self.state.global_step + 1)
        return loss


class _Watch(TrainerCallback):
    """Decides when to look, to save and to stop; marks checkpoints and tells the progress."""

    def __init__(
        self,
        *,
        training: Training,
        step_tokens: Sequence[int],
        checkpoints: Checkpoints,
        newest: Checkpoint | None,
        progress: TrainingProgress,
    ) -> None:
        """Take the tokens of every step, and where an earlier run has come to."""
        self._training = training
        self._step_tokens = step_tokens
        self._checkpoints = checkpoints
        self._progress = progress
        self._num_tokens = newest.num_tokens if newest else 0
        # Time of earlier runs counts: a budget is not renewed by a crash.
        self._began = time.monotonic() - (newest.seconds if newest else 0.0)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401, ARG002 - Trainer's
        """Count a step; look and save now and then, and before the end."""
        num_tokens = self._step_tokens[state.global_step - 1]
        self._num_tokens += num_tokens
        self._progress.finish_step(num_tokens)
        is_last = state.global_step >= len(self._step_tokens) or _is_late(
            self._seconds, self._training
        )
        control.should_training_stop = is_last
        look = is_last or state.global_step % self._training.check_steps == 0
        control.should_evaluate = control.should_save = look

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401, ARG002 - the same
        """Stop where the validation loss has not fallen for a while."""
        losses = [entry["eval_loss"] for entry in state.log_history if "eval_loss" in entry]
        if not math.isfinite(losses[-1]):
            raise _no_number(state.global_step)
        self._progress.look(losses[-1])
        if has_lost_patience(losses, self._training.patience):
            control.should_training_stop = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401, ARG002 - the same
        """Mark a checkpoint as complete; the best and the newest one stay."""
        self._checkpoints.complete(
            state.global_step, seconds=self._seconds, num_tokens=self._num_tokens
        )
        self._checkpoints.thin()

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began


def _count_step_tokens(plan: Plan, examples: Sequence[Example], size: int) -> list[int]:
    """Return the tokens of each step of the optimizer, pads not counted."""
    return [
        sum(examples[row].num_tokens for batch in plan[at : at + size] for row in batch)
        for at in range(0, len(plan), size)
    ]


def _arguments(
    trainee: Trainee, training: Training, checkpoints: Checkpoints, num_steps: int, seed: int
) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(checkpoints.folder),
        num_train_epochs=1,  # the plan holds all of them
        gradient_accumulation_steps=training.accumulation,
        learning_rate=learning_rate_of(training),
        lr_scheduler_type="cosine",
        warmup_steps=round(num_steps * training.warmup_share),
        weight_decay=training.weight_decay,
        bf16=trainee.half,
        use_cpu=trainee.base.device.type == "cpu",
        seed=seed % 2**32,  # numpy takes no more
        # When to look and save is decided by the watch.
        eval_strategy="no",
        save_strategy="no",
        prediction_loss_only=True,
        logging_strategy="no",
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        log_level="error",
        remove_unused_columns=False,
        average_tokens_across_devices=False,
    )


def _no_number(step: int) -> TrainingError:
    return TrainingError(
        f"the loss at step {step} is no finite number; nothing is published",
        remedy="Lower training.learning_rate, or set generation.dtype = 'float32'.",
    )
