"""The ready job types that need no network: commands, programs, events."""

import os
import resource
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from aiojobs_engine import (
    ConfigError,
    Engine,
    JobContext,
    JobDiscardedError,
    JobFailedError,
    PayloadError,
    Retry,
    kinds,
)
from aiojobs_engine.runtime.registry import JobRegistry
from tests.servers.processes import is_alive

SH = "/bin/sh"


async def _outcome(engine: Engine, what: str, **arguments: Any) -> Any:
    handle = await engine.dispatch(engine.registry.get(what).options(retry=Retry.none()), **arguments)
    await engine.worker(burst=True).run()
    return await handle.result(timeout=10)


def _script(folder: Path, text: str, name: str = "script") -> str:
    path = folder / name
    path.write_text(f"#!{SH}\n{text}\n")
    path.chmod(stat.S_IRWXU)
    return str(path)


def _shell(engine: Engine, folder: Path, text: str, **options: Any) -> str:
    path = _script(folder, text)
    engine.include(kinds.shell(allow=[path], cwd=folder, **options))
    return path


def _commands() -> JobRegistry:
    def double(number: int) -> int:
        return 2 * number

    async def context(ctx: JobContext, *, word: str = "x") -> str:
        return f"{ctx.type} {word}"

    return kinds.commands({"double": double, "context": context})


@pytest.mark.seed("DJ-52", "DJ-54")
async def test_a_command_is_a_function_by_the_name_that_the_code_gave_it(engine: Engine) -> None:
    engine.include(_commands())
    async with engine:
        assert await _outcome(engine, "command", command="double", arguments={"number": 21}) == 42
        assert await _outcome(engine, "command", command="context", arguments={"word": "y"}) == "command y"
        assert await _outcome(engine, "command", command="context") == "command x"


@pytest.mark.case("X2")
@pytest.mark.parametrize("name", ["os:system", "os.system", "builtins.eval", "__main__.x", "double ", ""])
async def test_no_other_name_is_a_command(engine: Engine, name: str) -> None:
    engine.include(_commands())
    async with engine:
        with pytest.raises(PayloadError, match="command"):
            await engine.dispatch("command", command=name)
        forged = (
            engine.named("command")
            .options(queue="default")
            .job_from_json(b'{"command": "os:system", "arguments": {"command": "id"}}')
        )
        handle = await engine.dispatch(forged)
        await engine.worker(burst=True).run()
        error = (await handle.status()).error
        assert error is not None
        assert error.reason == "payload"


async def test_arguments_that_do_not_fit_end_the_job(engine: Engine) -> None:
    engine.include(_commands())
    async with engine:
        with pytest.raises(JobDiscardedError, match="number"):
            await _outcome(engine, "command", command="double", arguments={"number": "x"})


def test_commands_are_functions() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        kinds.commands({})


@pytest.mark.case("X10")
@pytest.mark.seed("DJ-53")
async def test_a_program_gets_its_arguments_as_they_are(engine: Engine, tmp_path: Path) -> None:
    path = _shell(engine, tmp_path, 'for word in "$@"; do echo "[$word]"; done; echo careful >&2')
    words = ["a b", "; rm -rf /", "$(id)", "`id`", "*", "'", '"', "-oProxyCommand=id", "&& id", "\n"]
    async with engine:
        result = await _outcome(engine, "shell", argv=[path, "-v", *words])

    assert result.stdout == "[-v]\n" + "".join(f"[{word}]\n" for word in words)
    assert (result.code, result.stderr, result.is_cut) == (0, "careful\n", False)


@pytest.mark.case("X10")
async def test_data_can_not_be_taken_for_options(engine: Engine, tmp_path: Path) -> None:
    path = _shell(engine, tmp_path, 'echo "$@"')
    async with engine:
        result = await _outcome(engine, "shell", argv=[path, "-v"], data=["-oProxyCommand=id", "x"])

    assert result.stdout == "-v -- -oProxyCommand=id x\n"


@pytest.mark.case("X10")
@pytest.mark.parametrize(
    "argv", [[], ["sh"], ["./script"], ["/bin/echo", "x"], ["/bin/sh", "-c", "id"], ["script"], ["/x\0y"]]
)
async def test_no_other_program_runs(engine: Engine, tmp_path: Path, argv: list[str]) -> None:
    _shell(engine, tmp_path, "echo x")
    async with engine:
        with pytest.raises(JobDiscardedError):
            await _outcome(engine, "shell", argv=argv)


@pytest.mark.case("X10")
async def test_a_link_is_judged_by_where_it_leads(engine: Engine, tmp_path: Path) -> None:
    allowed = _script(tmp_path, "echo real")
    (tmp_path / "good").symlink_to(allowed)
    (tmp_path / "bad").symlink_to("/bin/echo")
    engine.include(kinds.shell(allow=[tmp_path / "good"], cwd=tmp_path))
    async with engine:
        assert (await _outcome(engine, "shell", argv=[str(tmp_path / "good")])).stdout == "real\n"
        assert (await _outcome(engine, "shell", argv=[allowed])).stdout == "real\n"
        with pytest.raises(JobDiscardedError, match="not allowed"):
            await _outcome(engine, "shell", argv=[str(tmp_path / "bad")])
        with pytest.raises(JobDiscardedError, match="not allowed"):
            await _outcome(engine, "shell", argv=[f"{tmp_path}/../../bin/echo"])


@pytest.mark.case("X10")
async def test_nothing_of_the_workers_environment_is_handed_on(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_PRELOAD", "")
    monkeypatch.setenv("SECRET_TOKEN", "s3cret")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    path = _shell(engine, tmp_path, "/usr/bin/env; pwd; umask", env={"TZ": "UTC"})
    async with engine:
        result = await _outcome(engine, "shell", argv=[path])

    *variables, cwd, umask = result.stdout.splitlines()
    names = {line.partition("=")[0] for line in variables}
    assert names <= {"PATH", "LANG", "LC_ALL", "TZ", "PWD", "_", "OLDPWD", "SHLVL"}
    assert "PATH=/usr/bin:/bin" in variables
    assert (cwd, umask) == (str(tmp_path), "0077")


@pytest.mark.case("X10")
async def test_a_program_that_fails_fails_the_job_with_what_it_said(engine: Engine, tmp_path: Path) -> None:
    path = _shell(engine, tmp_path, 'echo no such host >&2; [ "$1" = kill ] && kill -9 $$; exit 3')
    async with engine:
        with pytest.raises(JobFailedError, match="code 3: no such host"):
            await _outcome(engine, "shell", argv=[path])
        with pytest.raises(JobFailedError, match="signal 9"):
            await _outcome(engine, "shell", argv=[path, "kill"])


@pytest.mark.case("X10")
@pytest.mark.seed("DJ-51")
async def test_output_is_read_to_its_end_and_kept_to_its_bound(engine: Engine, tmp_path: Path) -> None:
    path = _shell(engine, tmp_path, "head -c 5000000 /dev/zero", output_bytes=1000)
    async with engine:
        result = await _outcome(engine, "shell", argv=[path])

    assert (len(result.stdout), result.is_cut, result.code) == (1000, True, 0)


@pytest.mark.case("X10")
async def test_limits_hold_and_there_is_no_core(engine: Engine, tmp_path: Path) -> None:
    path = _shell(engine, tmp_path, "sleep 0.2; ulimit -n; ulimit -c", limits={resource.RLIMIT_NOFILE: 20})
    async with engine:
        result = await _outcome(engine, "shell", argv=[path])

    assert result.stdout == "20\n0\n"


@pytest.mark.case("X10")
async def test_a_cancel_ends_the_whole_group(engine: Engine, tmp_path: Path) -> None:
    text = f"echo $$ > {tmp_path}/one; ({SH} -c 'echo $$ > {tmp_path}/two; exec sleep 600') & wait"
    path = _shell(engine, tmp_path, text)
    async with engine.running():
        handle = await engine.dispatch("shell", argv=[path])
        while not (tmp_path / "two").exists() or not (tmp_path / "two").read_text():
            await checkpoint()
        await handle.cancel()
        async for _ in handle.events():
            pass

    for name in ("one", "two"):
        assert not is_alive(int((tmp_path / name).read_text()))


@pytest.mark.case("X10")
async def test_what_a_program_leaves_behind_is_ended_with_it(engine: Engine, tmp_path: Path) -> None:
    path = _shell(engine, tmp_path, f"sleep 600 & echo $! > {tmp_path}/left; echo done")
    async with engine:
        result = await _outcome(engine, "shell", argv=[path])

    assert result.stdout == "done\n"
    assert not is_alive(int((tmp_path / "left").read_text()))


@pytest.mark.case("X10")
@pytest.mark.parametrize(
    "wrong",
    [
        {"allow": []},
        {"allow": ["sh"]},
        {"allow": ["/nowhere/at/all"]},
        {"allow": ["/etc/passwd"]},
        {"allow": ["/bin"]},
        {"allow": [SH], "env": {"LD_PRELOAD": "/x.so"}},
        {"allow": [SH], "env": {"PYTHONPATH": "/x"}},
        {"allow": [SH], "env": {"GCONV_PATH": "/x"}},
        {"allow": [SH], "env": {"git_ssh_command": "x"}},
        {"allow": [SH], "env": {"A=B": "x"}},
        {"allow": [SH], "env": {"A": "x\0y"}},
    ],
)
def test_what_the_operator_allows_is_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        kinds.shell(**wrong)


@pytest.mark.case("X10")
def test_a_program_that_everybody_may_change_is_not_allowed(tmp_path: Path) -> None:
    path = _script(tmp_path, "id")
    Path(path).chmod(0o777)

    with pytest.raises(ConfigError, match="changed by everybody"):
        kinds.shell(allow=[path])


@pytest.mark.case("X10")
def test_no_kind_is_on_by_itself() -> None:
    assert not set(Engine("memory://").registry.types) & {"shell", "command", "url", "event"}


@pytest.mark.seed("DJ-55")
async def test_an_event_fires_on_all_who_listen(engine: Engine) -> None:
    heard: list[str] = []
    happenings = kinds.Happenings()

    @happenings.on("order.paid")
    async def first(data: dict[str, Any]) -> None:
        heard.append(f"first {data['id']}")
        data.clear()

    @happenings.on("order.paid")
    def second(data: dict[str, Any]) -> None:
        heard.append(f"second {data['id']}")

    engine.include(happenings.registry)
    async with engine:
        assert await _outcome(engine, "event", event="order.paid", data={"id": 7}) == 2
        assert sorted(heard) == ["first 7", "second 7"]
        with pytest.raises(JobDiscardedError, match="nobody listens"):
            await _outcome(engine, "event", event="order.lost")


@pytest.mark.seed("DJ-55")
async def test_a_listener_that_fails_or_says_no_fails_the_attempt(engine: Engine) -> None:
    happenings = kinds.Happenings()

    @happenings.on("no")
    def refuse(data: dict[str, Any]) -> bool:
        return False

    @happenings.on("both")
    @happenings.on("one")
    async def fail(data: dict[str, Any]) -> None:
        raise ValueError("not today")

    happenings.on("both")(refuse)
    engine.include(happenings.registry)
    async with engine:
        for event, said in (("no", "answered False"), ("one", "not today"), ("both", "2 listeners")):
            with pytest.raises(JobFailedError, match=said):
                await _outcome(engine, "event", event=event)


@pytest.mark.case("X10")
def test_a_program_in_a_folder_that_everybody_may_change_is_not_allowed(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    path = _script(folder, "true")
    assert kinds.shell(allow=[path])
    folder.chmod(0o777)

    with pytest.raises(ConfigError, match="changed by everybody"):
        kinds.shell(allow=[path])


def test_a_variable_that_only_looks_like_one_that_loads_code_is_taken() -> None:
    assert kinds.shell(allow=[SH], env={"ENVIRONMENT": "production", "IFSC": "1"})


@pytest.mark.case("X10")
async def test_a_program_ends_with_its_run_however_early_that_is_cancelled(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / "left"
    path = _shell(engine, tmp_path, f"sleep 30; touch {left}")
    pids: list[int] = []

    def limited(pid: int, _limits: object) -> None:
        pids.append(pid)
        raise RuntimeError("between start and wait")

    monkeypatch.setattr(sys.modules["aiojobs_engine.kinds.shell"], "_limit", limited)
    async with engine:
        with pytest.raises(JobFailedError, match="between start and wait"):
            await _outcome(engine, "shell", argv=[path])

    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
