"""The agent contract, for every agent that is found and each of its blocks.

A new agent is one module and one YAML file: these tests find both.
"""

import inspect
from typing import Any, NamedTuple, get_args

import numpy as np
import pytest
import torch

import agents
import suites
from agents import base
from launch import vocabulary
from suites.game import image_shape
from tests.agents import toys

LEAVES = (np.ndarray, int, float, str, bool, type(None))
ACTIONS = 4
REPLAYED = ("uniform", "episodes")


class Case(NamedTuple):
    """An agent with a block, its images and rollouts small."""

    name: str
    block: str

    @property
    def asked(self) -> list[str]:
        return [self.block] if self.block else []

    @property
    def sets(self) -> dict[str, Any]:
        settings = agents.settings(self.name, "none", self.asked)
        if settings["training"]["sampling"] in REPLAYED:
            return toys.shrunk(settings)
        short = {"training.length": 5, "training.epochs": 2, "training.minibatches": 2}
        fresh = settings["training"]["sampling"] == "fresh"
        short |= {"horizon": 4} if "horizon" in settings else {}
        return {"view.size": [64, 64], "training.streams": 3} | (short if fresh else {})

    @property
    def settings(self) -> dict[str, Any]:
        return agents.settings(self.name, "none", self.asked, self.sets)

    @property
    def config(self) -> Any:
        return agents.configure(self.name, "none", self.asked, self.sets)

    def make(self, seed: int = 0) -> Any:
        return toys.built(self.name, self.config, image_shape(self.config.view), ACTIONS, seed)

    def batch(self, agent: Any, seed: int) -> toys.Rows:
        rng, shape = np.random.default_rng(seed), image_shape(self.config.view)
        if self.sampling in REPLAYED:
            return toys.served(agent, rng)
        count = self.settings["training"].get("length", 5) + 1
        return toys.answered(agent, toys.made_up(3, count, rng, shape), rng)

    def observation(self, streams: int = 3) -> toys.Rows:
        rng, shape = np.random.default_rng(0), image_shape(self.config.view)
        return {name: rows[:, 0] for name, rows in toys.made_up(streams, 1, rng, shape).items()}

    @property
    def sampling(self) -> str:
        return self.settings["training"]["sampling"]

    @property
    def owed(self) -> int:
        """Updates that are taken with a batch."""
        return {"fresh": 4, "none": 0}.get(self.sampling, 1)

    def learn(self, agent: Any, batch: toys.Rows, progress: float = 0.5) -> None:
        for _ in range(self.owed):
            agent.train((), batch, progress)


def unlike(cases: list[Case]) -> list[Case]:
    """Leaves out blocks that change nothing but what these tests set anyway."""
    settings = [case.settings for case in cases]
    return [case for index, case in enumerate(cases) if settings[index] not in settings[:index]]


ALL = [Case(name, block) for name in agents.names() for block in ["", *agents.blocks(name)]]
every_agent = pytest.mark.parametrize("name", agents.names())
every_block = pytest.mark.parametrize("case", ALL, ids="+".join)
every_case = pytest.mark.parametrize("case", unlike(ALL), ids="+".join)


def leaves(tree):
    if isinstance(tree, dict):
        assert all(isinstance(key, str) for key in tree)
        return [leaf for value in tree.values() for leaf in leaves(value)]
    if isinstance(tree, list):
        return [leaf for value in tree for leaf in leaves(value)]
    return [tree]


@every_agent
def test_a_module_exposes_exactly_config_and_agent(name):
    module = agents.load(name)
    defined = [
        key
        for key, value in vars(module).items()
        if not key.startswith("_") and getattr(value, "__module__", "") == module.__name__
    ]
    assert sorted(getattr(module, "__all__", defined)) == ["Agent", "Config"]
    assert inspect.getdoc(module)


@every_agent
def test_a_config_has_no_defaults(name):
    fields = agents.load(name).Config.model_fields
    assert {"view", "training"} <= set(fields)
    assert [key for key, field in fields.items() if not field.is_required()] == []


@every_agent
def test_a_config_refuses_a_key_that_it_does_not_know(name):
    with pytest.raises(ValueError, match=r"'view\.sise'.*did you mean 'view\.size'"):
        agents.configure(name, "none", [], {"view.sise": [64, 64]})


@every_block
@pytest.mark.parametrize("suite", suites.names())
def test_every_block_is_valid_in_every_suite(case, suite):
    assert agents.configure(case.name, suite, case.asked).training.streams > 0


@every_case
def test_actions_are_legal_in_every_mode(case):
    agent = case.make()
    for mode in get_args(base.Mode):
        for streams in (1, 3):
            carry, rng = agent.init(streams), np.random.default_rng(0)
            _, action, extra = agent.policy(carry, case.observation(streams), mode, rng)
            assert action.shape == (streams,)
            assert np.issubdtype(action.dtype, np.integer)
            assert ((action >= 0) & (action < ACTIONS)).all()
            assert all(len(array) == streams for array in extra.values())


@every_case
def test_a_prefill_is_uniform_whatever_the_policy_and_is_remembered(case):
    agent, streams = case.make(), 64
    case.learn(agent, case.batch(agent, 0))
    obs, rng = case.observation(streams), np.random.default_rng(0)
    carry, action, extra = agent.policy(agent.init(streams), obs, "random", rng)
    share = np.bincount(action, minlength=ACTIONS) / streams
    assert abs(share - 1 / ACTIONS).max() < 4 * (1 / ACTIONS / streams) ** 0.5
    if isinstance(carry, dict):
        assert (carry["action"] == action).all()
    kept = agent.policy(agent.init(streams), obs, "train", rng)[2]
    assert extra.keys() == kept.keys()


@every_case
def test_acting_draws_only_from_the_generator_that_it_is_given(case):
    agent, obs = case.make(), case.observation()
    for mode in get_args(base.Mode):
        numpy_before, torch_before = np.random.get_state(), torch.get_rng_state()
        first, second = (
            agent.policy(agent.init(3), obs, mode, np.random.default_rng(5)) for _ in range(2)
        )
        assert toys.same(first[1], second[1])
        assert toys.same(list(np.random.get_state()), list(numpy_before))
        assert torch.equal(torch.get_rng_state(), torch_before)
    drawn = [
        agent.policy(agent.init(3), obs, "sampled", np.random.default_rng(seed))[1].tolist()
        for seed in range(20)
    ]
    assert len(set(map(tuple, drawn))) > 1


@every_case
def test_evaluation_leaves_the_agent_as_it_was(case):
    agent = case.make()
    case.learn(agent, case.batch(agent, 0))
    before = agent.save()
    for mode in ("sampled", "greedy"):
        agent.policy(agent.init(3), case.observation(), mode, np.random.default_rng(5))
    assert toys.same(agent.save(), before)


@every_case
def test_metrics_are_finite_and_have_names_that_the_vocabulary_knows(case):
    agent = case.make()
    batch = case.batch(agent, 0)
    for progress in (0.001, 0.07, 0.5, 1.0):
        case.learn(agent, batch, progress)
        metrics = agent.metrics()
        vocabulary.check(metrics)
        assert all(type(value) is float and np.isfinite(value) for value in metrics.values())
        assert bool(metrics) == bool(case.owed)
    assert agent.metrics() == {}


@every_case
def test_the_same_seed_learns_the_same_and_another_seed_does_not(case):  # 000#12
    def learnt(seed):
        agent = case.make(seed)
        case.learn(agent, case.batch(agent, 0))
        return agent.save()

    one = learnt(3)
    assert toys.same(one, learnt(3))
    assert not case.owed or not toys.same(one["parts"], learnt(4)["parts"])


@every_case
def test_a_saved_state_is_arrays_and_plain_values_and_later_learning_leaves_it_alone(case):
    agent = case.make()
    case.learn(agent, case.batch(agent, 0))
    state = agent.save()
    assert all(isinstance(leaf, LEAVES) for leaf in leaves(state))
    copies = [leaf.copy() if isinstance(leaf, np.ndarray) else leaf for leaf in leaves(state)]
    case.learn(agent, case.batch(agent, 1))
    assert toys.same(leaves(state), copies)


@every_case
def test_loading_between_any_two_updates_goes_on_bit_for_bit(case):  # 001#6
    whole, other = case.make(), case.make(seed=9)
    served = [batch for seed in range(2) for batch in [case.batch(whole, seed)] * case.owed]
    states = [whole.save()]
    for batch in served:
        whole.train((), batch, 0.5)
        states.append(whole.save())
    # Backwards, so that nothing of a state is there before it is loaded.
    for position in reversed(range(len(served))):
        other.load(states[position])
        assert toys.same(other.save(), states[position]), position
        other.train((), served[position], 0.5)
        assert toys.same(other.save(), states[position + 1]), position
    other.load(states[-1])
    assert toys.same(other.save(), states[-1])
    assert other.metrics() == whole.metrics()


@every_case
def test_training_hands_back_what_the_policy_keeps_with_context_one_update_later(case):
    agent = case.make()
    _, _, extra = agent.policy(agent.init(3), case.observation(), "train", np.random.default_rng(0))
    training = case.settings["training"]
    carry, kept = (), {}
    for seed in range(2):
        assert kept == {}
        if case.owed:
            carry, kept = agent.train(carry, case.batch(agent, seed), 0.5)
    if not (case.sampling == "uniform" and training["context"]):
        assert kept == {} and not (extra and case.sampling in REPLAYED)
        return
    size = (training["batch"], training["length"])
    assert {name: (array.shape, array.dtype) for name, array in kept.items()} == {
        name: ((*size, *array.shape[1:]), array.dtype) for name, array in extra.items()
    }


def drawing_nothing_else(agent, ask):
    """Asks twice with the same generator, and asserts that all else is as it was."""
    before, numpy, torch_ = agent.save(), np.random.get_state(), torch.get_rng_state()
    found, again = (ask(np.random.default_rng(5)) for _ in range(2))
    assert toys.same(found, again)
    assert toys.same(agent.save(), before)
    assert toys.same(list(np.random.get_state()), list(numpy))
    assert torch.equal(torch.get_rng_state(), torch_)
    return found


@every_case
def test_a_report_is_nothing_or_pictures_and_changes_nothing(case):
    agent = case.make()
    batch = case.batch(agent, 0)
    case.learn(agent, batch)
    shown = drawing_nothing_else(agent, lambda rng: agent.report(batch, rng))
    assert bool(shown) == (case.sampling in REPLAYED)
    if shown:
        assert shown.keys() == {"context", "true", "posterior", "open_loop"}
        pictures = [shown[name] for name in ("true", "posterior", "open_loop")]
        assert {each.shape for each in pictures} == {batch["image"].shape}
        assert all(each.dtype == np.uint8 for each in pictures)
        assert toys.same(shown["true"], batch["image"])
        context = shown["context"]
        assert 0 < context < batch["image"].shape[1]
        assert toys.same(shown["posterior"][:, :context], shown["open_loop"][:, :context])


@every_case
def test_a_dream_is_nothing_or_rows_and_changes_nothing(case):
    agent = case.make()
    case.learn(agent, case.batch(agent, 0))
    rng = np.random.default_rng(0)
    carry, _, _ = agent.policy(agent.init(3), case.observation(), "sampled", rng)
    dream = drawing_nothing_else(agent, lambda rng: agent.dream(carry, 4, rng))
    assert bool(dream) == (case.sampling in REPLAYED)
    if dream:
        shape = image_shape(case.config.view)
        assert dream.keys() == {"image", "action", "reward", "proceed"}
        assert (dream["image"].shape, dream["image"].dtype) == ((3, 4, *shape), np.uint8)
        assert {dream[name].shape for name in ("action", "reward", "proceed")} == {(3, 4)}
        assert np.isfinite(dream["reward"]).all()
        assert ((dream["action"] >= 0) & (dream["action"] < ACTIONS)).all()
        assert ((dream["proceed"] >= 0) & (dream["proceed"] <= 1)).all()


@every_agent
def test_a_buffer_keeps_the_type_that_is_asked_for(name):  # 000#17
    array = Case(name, "").make().buffer((3, 5, 8, 8, 1), np.dtype(np.uint8))
    assert (array.shape, array.dtype) == ((3, 5, 8, 8, 1), np.uint8)
