import pytest

from rlcompress.sb3.env_spec import describe
from rlcompress.sb3.environments import make_training_env
from rlcompress.spec import QuantSpec
from rlcompress.training.assemble import build_model
from rlcompress.training.plan import make_plan
from tests.training.settings import settings_of

SPECS = {}


def plan_of(*overrides):
    settings = settings_of(*overrides)
    if settings.env not in SPECS:
        SPECS[settings.env] = describe(settings.env)
    return make_plan(settings, SPECS[settings.env])


def test_auto_looks_at_the_spaces():
    hopper, cart, pong = (
        plan_of(f"env={env}") for env in ("Hopper-v4", "CartPole-v1", "PongNoFrameskip-v4")
    )
    assert (hopper.algo, hopper.network) == ("sac", "mlp")
    assert (cart.algo, cart.network) == ("dqn", "mlp")
    assert (pong.algo, pong.network) == ("dqn", "nature_cnn")


def test_each_domain_has_its_own_table():
    pong = plan_of("env=PongNoFrameskip-v4")
    resnet = plan_of("env=PongNoFrameskip-v4", "network=impala_resnet")
    cart = plan_of("env=CartPole-v1", "algo=qrdqn")
    assert pong.recipe == pong.settings.dqn_atari
    assert resnet.recipe == resnet.settings.dqn_resnet
    assert cart.recipe == cart.settings.dqn_vector
    assert plan_of("algo=tqc").recipe == plan_of().settings.sac
    assert plan_of("algo=ddpg").recipe == plan_of().settings.td3
    assert plan_of("algo=ppo", "env=CartPole-v1").recipe == plan_of().settings.ppo


def test_lengths():
    assert plan_of().total_timesteps == 10**6
    assert plan_of().timeline.length == 10**6
    plan = plan_of("quant=true", "sparsity=0.9")
    assert plan.timeline.length == 1_200_000
    assert plan.timeline.pruning == (200_000, 800_000)
    assert plan.timeline.quantise_after == 10**6
    assert plan_of("quant=ptq").timeline.length == 10**6
    assert plan_of("extra_timesteps=7").timeline.length == 10**6 + 7
    assert plan_of("extra_fraction=0.5").timeline.length == 15 * 10**5
    assert plan_of("extra_fraction=0.5", "quant=true").timeline.length == 15 * 10**5


def test_compression_that_is_asked_for():
    plan = plan_of("quant=true", "quantisation.activation_bits=null", "sparsity=0.9")
    assert plan.quant == QuantSpec(activation_bits=None)
    assert plan.qat
    assert plan.prune.schedule.updates == 600
    assert plan_of("sparsity=0.9", "env=PongNoFrameskip-v4").prune.schedule.updates == 300
    assert plan_of("sparsity=0.9", "pruning.updates=5").prune.schedule.updates == 5
    assert plan_of().prune is None
    assert plan_of().quant is None
    assert plan_of("quant=ptq").ptq
    assert not plan_of("quant=ptq").qat


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["sparsity=1"], r"sparsity must be in \[0, 1\), got 1.0"),
        (["sparsity=-0.1"], r"sparsity must be in"),
        (["algo=sacc"], "did you mean 'sac'"),
        (["algo=dqn"], "needs a Discrete action space"),
        (["env=CartPole-v1", "algo=sac"], "needs a Box action space"),
        (["network=nature_cnn"], "cannot read vectors"),
        (["network=resnet"], "network must be one of"),
        (["quant=maybe"], "quant must be one of"),
        (["quantisation.weight_bits=9"], "weight_bits must be in 2..8"),
        (["quantisation.activation_bits=1"], "activation_bits must be in 2..8"),
        (["quantisation.dense=per_row"], "dense must be"),
        (
            ["sparsity=0.9", "total_timesteps=999", "sac.learning_starts=1"],
            "smallest T from there on is 1000",
        ),
        (["total_timesteps=10000"], "learning starts after 10000"),
        (["quant=true", "extra_timesteps=1"], "needs at least 2"),
        (["quant=true", "algo=ppo", "extra_timesteps=5000"], "needs at least 6144"),
        (["pruning.begin=0.9", "sparsity=0.5"], "begin < end"),
        (["n_envs=0"], "n_envs must be at least 1"),
        (["sac.train_freq=0"], "train_freq must be at least 1"),
        (["sac.net_arch=[64,0]"], "net_arch: a width must be at least 1"),
        (["algo=ppo", "ppo.n_steps=1"], "ppo.n_steps times n_envs must be at least 2"),
        (["device=mps"], "device must be cpu, cuda"),
        (["matmul=tf32"], "matmul=tf32 is not for device=cpu, which takes auto, default, onednn"),
        (["sparsity=0.5", "quant=true", "pruning.end=1.0"], "let pruning end earlier"),
        (["eval_freq=0"], "eval_freq must be at least 1"),
        (["training=turbo"], "training must be one of fast, sb3"),
        (["eval_episode_steps=0"], "eval_episode_steps must be at least 1"),
    ],
)
def test_refusals(overrides, said):
    with pytest.raises(ValueError, match=said):
        plan_of(*overrides)


def test_pruning_may_end_with_training():
    assert plan_of("sparsity=0.5", "pruning.end=1.0").timeline.pruning == (200_000, 10**6)
    late = ("sparsity=0.5", "quant=true", "total_timesteps=20000", "pruning.updates=10")
    assert plan_of(*late, "pruning.end=0.9999").timeline.pruning == (4_000, 19_998)
    with pytest.raises(ValueError, match="last step before T=20000"):
        plan_of(*late, "pruning.end=0.9999", "n_envs=4")


def test_with_an_initial_sparsity_no_step_is_dense():
    timeline = plan_of("sparsity=0.9", "pruning.initial=0.5", "quant=true").timeline
    assert timeline.phases() == ("pruned", "quantised")
    assert timeline.phase(1000, quantised=False) == "pruning"


def test_exploration_is_a_fraction_of_t():
    env = make_training_env("CartPole-v1")
    plan = plan_of("env=CartPole-v1", "quant=true", "dqn_vector.exploration_fraction=0.3")
    model = build_model(plan, env)
    assert model.exploration_fraction == pytest.approx(0.3 / 1.2)


@pytest.mark.parametrize("algo", ["sac", "td3", "ddpg", "tqc", "ppo", "a2c"])
def test_every_algorithm_takes_its_table(algo):
    env = make_training_env("Pendulum-v1")
    plan = plan_of("env=Pendulum-v1", f"algo={algo}")
    model = build_model(plan, env)
    assert type(model).__name__ == algo.upper()
    assert model.gamma == plan.recipe.gamma
    optimizer = getattr(model.policy, "optimizer", None) or model.actor.optimizer
    assert optimizer.defaults["lr"] == plan.recipe.learning_rate
    assert optimizer.defaults["weight_decay"] == plan.recipe.weight_decay
    assert optimizer.defaults["eps"] == plan.recipe.adam_eps
