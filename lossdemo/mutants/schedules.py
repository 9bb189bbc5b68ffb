"""Wrong beliefs about schedules: what they count, where they end, what they remember."""

from bisect import bisect_right

from lossdemo.verify.mutant import Call, Function, mutant, using


def _moves(call: Call) -> bool:
    """Whether this is not the call that builds the scheduler."""
    return getattr(call["self"], "_step_count", 0) > 0


@mutant("torch.optim.lr_scheduler.LRScheduler.step", when=_moves)
def schedulers_wait_for_the_optimizer(original):
    """The belief that without a step there is nothing to move for."""

    def call(self, *args, **kwargs):
        if not _moves(Call(self=self)) or getattr(self.optimizer, "_opt_called", False):
            original(self, *args, **kwargs)
            self.optimizer._opt_called = False

    return call


@mutant(
    "torch.optim.lr_scheduler.CosineAnnealingLR.get_lr", when=lambda call: call["self"].last_epoch > call["self"].T_max
)
def cosine_stays_at_its_end(original):
    """The belief that T_max is where the schedule ends."""

    def call(self):
        return [self.eta_min] * len(self.base_lrs) if self.last_epoch > self.T_max else original(self)

    return call


def _one_ahead(original: Function) -> Function:
    def call(self):
        self.last_epoch += 1
        rates = original(self)
        self.last_epoch -= 1
        return rates

    return call


@mutant("torch.optim.lr_scheduler.LambdaLR.get_lr")
def lambda_counts_from_one(original):
    """The belief that the first step is step 1."""
    return _one_ahead(original)


@mutant("torch.optim.lr_scheduler.StepLR.get_lr")
def step_lr_falls_in_its_last_epoch(original):
    """The belief that the last of so many epochs has the next rate."""
    return _one_ahead(original)


@mutant("torch.optim.lr_scheduler.LambdaLR.get_lr")
def lambda_returns_the_rate(original):
    """The belief that the function's value is the learning rate."""
    return lambda self: [function(self.last_epoch) for function in self.lr_lambdas]


@mutant("torch.optim.lr_scheduler.SequentialLR.step")
def sequential_counts_through(original):
    """The belief that a second schedule has run all along."""

    def call(self):
        self.last_epoch += 1
        scheduler = self._schedulers[bisect_right(self._milestones, self.last_epoch)]
        scheduler.last_epoch = self.last_epoch - 1
        scheduler.step()

    return call


@mutant("torch.optim.lr_scheduler.ReduceLROnPlateau.__init__", when=lambda call: "threshold_mode" in call.left_out)
def plateau_subtracts_its_threshold(original):
    """The belief that a ten-thousandth is meant, whatever the loss."""
    return using(original, threshold_mode="abs")


@mutant("torch.optim.lr_scheduler.ReduceLROnPlateau.__init__", when=lambda call: "threshold" in call.left_out)
def plateau_takes_any_progress(original):
    """The belief that a loss which falls is no plateau."""
    return using(original, threshold=0.0)


@mutant("torch.optim.lr_scheduler.ReduceLROnPlateau.step")
def plateau_compares_with_the_last(original):
    """The belief that a plateau is where a loss is like the one before."""

    def call(self, metrics, *args, **kwargs):
        original(self, metrics, *args, **kwargs)
        self.best = float(metrics)

    return call


@mutant(
    "torch.optim.lr_scheduler.OneCycleLR.get_lr", when=lambda call: call["self"].last_epoch > call["self"].total_steps
)
def one_cycle_stays_at_its_end(original):
    """The belief that after the cycle nothing changes."""

    def call(self):
        return list(self._last_lr) if self.last_epoch > self.total_steps else original(self)

    return call


@mutant("torch.optim.lr_scheduler.OneCycleLR.__init__")
def one_cycle_starts_from_the_optimizers_rate(original):
    """The belief that the optimizer's rate counts for something."""

    def call(self, optimizer, max_lr, *args, **kwargs):
        rate = optimizer.param_groups[0]["lr"]
        original(self, optimizer, max_lr, *args, **kwargs)
        for group in optimizer.param_groups:
            group["lr"] = rate
        self._last_lr = [rate] * len(optimizer.param_groups)

    return call


@mutant("torch.optim.lr_scheduler.LRScheduler.load_state_dict")
def schedulers_restore_the_rate(original):
    """The belief that the scheduler's state has all that the schedule needs."""

    def call(self, state_dict):
        original(self, state_dict)
        for group, rate in zip(self.optimizer.param_groups, self._last_lr):
            group["lr"] = rate

    return call


@mutant("torch.optim.lr_scheduler.LRScheduler.load_state_dict")
def schedulers_keep_their_new_arguments(original):
    """The belief that a state is the counter, and no argument."""
    return lambda self, state_dict: original(
        self, {key: value for key, value in state_dict.items() if key in ("last_epoch", "_step_count", "_last_lr")}
    )
