"""``synaptoroute key``, and the files that it writes."""

import json
import os
import re
import stat

import httpx
import pytest
from typer.testing import CliRunner

from synaptoroute_core import ConfigurationError
from synaptoroute_integrations.cli.commands import app
from synaptoroute_integrations.server import ServerSettings
from synaptoroute_integrations.server.auth import KeyRing, add_key, make_key, parse_keys

SECRET = re.compile(r"srk_[\w-]{43}")
HEX = "ab" * 32


def run(*arguments: str, code: int = 0):
    done = CliRunner().invoke(app, ["key", *arguments])
    assert done.exit_code == code, done.output
    return done


def ring_of(path) -> KeyRing:
    found = KeyRing.from_settings(ServerSettings(keys_file=str(path)))
    assert found is not None
    return found


def test_a_key_is_shown_once_and_what_is_kept_is_its_hash():
    done = run("anna")
    secret = done.stdout.strip()
    assert SECRET.fullmatch(secret)
    (line,) = re.findall(r"anna route sha256:[0-9a-f]{64}", done.stderr)
    assert secret not in done.stderr
    key = KeyRing(parse_keys([line], "x")).find(secret)
    assert key is not None
    assert (key.name, key.scope) == ("anna", "route")


def test_a_key_comes_as_json_for_scripts():
    found = json.loads(run("anna", "--scope", "admin", "--json").stdout)
    assert found["line"].startswith("anna admin sha256:")
    assert SECRET.fullmatch(found["key"])
    assert (found["name"], found["scope"]) == ("anna", "admin")


def test_keys_are_added_to_a_file_that_its_owner_alone_may_read(tmp_path):
    file = tmp_path / "keys"
    before = os.umask(0)
    try:
        first = run("anna", "--file", str(file)).stdout.strip()
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    second = run("build.bot", "--scope", "admin", "--file", str(file)).stdout.strip()
    ring = ring_of(file)
    assert len(ring) == 2
    assert ring.find(first).name == "anna"
    assert ring.find(second).scope == "admin"
    assert first not in file.read_text(encoding="utf-8")
    assert ring.find("srk_" + "x" * 43) is None


@pytest.mark.parametrize(
    "text", ["", "# mine\n", f"old route sha256:{HEX}", f"old route sha256:{HEX}\n\n", "\ufeff# mine"]
)
def test_a_line_is_added_behind_whatever_is_there(tmp_path, text):
    """A file without a line end at its end, an empty one, one of Windows."""
    file = tmp_path / "keys"
    file.write_text(text, encoding="utf-8")
    secret = run("anna", "--file", str(file)).stdout.strip()
    assert ring_of(file).find(secret).name == "anna"
    assert len(ring_of(file)) == 1 + ("old" in text)
    assert file.read_text(encoding="utf-8").startswith(text)


def test_a_name_is_taken_once(tmp_path):
    file = tmp_path / "keys"
    run("anna", "--file", str(file))
    held = file.read_text(encoding="utf-8")
    done = run("anna", "--scope", "admin", "--file", str(file), code=2)
    assert "two keys have one name" in done.stderr
    assert not SECRET.search(done.output)
    assert file.read_text(encoding="utf-8") == held


@pytest.mark.parametrize(
    "arguments",
    [["a b"], [""], ["x" * 65], ["a\n"], ["anna", "--scope", "root"], ["anna", "--scope", ""], ["srk_abc"], []],
)
def test_what_is_no_name_or_scope_makes_no_key(arguments, tmp_path):
    file = tmp_path / "keys"
    done = run(*arguments, "--file", str(file), code=2)
    assert not SECRET.search(done.output)
    assert not file.exists()


def test_a_file_that_cannot_be_used_is_named_without_a_traceback(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path, tmp_path / "none" / "keys", tmp_path / "binary"):
        done = run("anna", "--file", str(path), code=2)
        assert str(path) in done.stderr.replace("\n", "")
        assert not SECRET.search(done.output)


# --- lines ----------------------------------------------------------------------------------------

BROKEN = [
    "anna srk_realsecret",
    "srk_realsecret",
    "anna route srk_realsecret",
    "anna srk_realsecret sha256:" + HEX,
    "srk_realsecret route sha256:" + HEX,
    "anna route sha256:srk_realsecret",
    "anna route md5:" + HEX,
    "anna route sha256:" + HEX[:-1],
    "anna route sha256:" + HEX + "0",
    "anna,route,sha256:" + HEX,
    "anna route sha256:" + HEX + " # srk_realsecret",
    "an/na-srk_realsecret route sha256:" + HEX,
]


@pytest.mark.parametrize("line", BROKEN)
def test_a_line_that_is_no_key_is_found_by_its_number_and_not_repeated(line, tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"# keys\n\nfirst admin sha256:{HEX}\n{line}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="entry 4") as caught:
        ring_of(file)
    assert str(file) in str(caught.value)
    told = f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    assert "realsecret" not in told
    assert HEX[:16] not in told


def test_a_file_without_keys_opens_nothing_and_is_refused(tmp_path):
    file = tmp_path / "keys"
    for text in ("", "\n\n", "# anna route sha256:" + HEX):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigurationError, match="holds no key"):
            ring_of(file)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        ring_of(tmp_path / "none")
    with pytest.raises(ConfigurationError, match="holds no key"):
        KeyRing.from_settings(ServerSettings(keys=" , "))


def test_lines_may_be_written_in_several_ways(tmp_path):
    file = tmp_path / "keys"
    file.write_bytes(f"  a\troute   sha256:{HEX.upper()}  \r\nb admin sha256:{HEX}\r\n".encode())
    assert [key.name for key in ring_of(file)._keys] == ["a", "b"]


def test_keys_may_come_from_the_environment(serve, keys):
    settings = ServerSettings.from_environment({"SYNAPTOROUTE_KEYS": f" {keys.lines[0]} , {keys.lines[1]}"})
    assert len(KeyRing.from_settings(settings)) == 2


def test_no_secret_and_no_hash_shows_in_what_is_printed():
    key, secret = make_key("anna", "admin")
    settings = ServerSettings(keys=key.line())
    shown = f"{key!r} {settings!r} {settings} {settings.model_dump_json()} {KeyRing([key])!r} {vars(settings)}"
    assert secret not in shown
    assert key.digest.hex() not in shown
    assert repr(key.digest) not in shown


def test_a_key_that_was_made_for_a_running_service_opens_it(serve_process, tmp_path):
    file = tmp_path / "keys"
    secret = run("anna", "--scope", "admin", "--file", str(file)).stdout.strip()
    add_key(file, make_key("other", "route")[0])
    served = serve_process("--db", str(tmp_path / "routes.sqlite"), "--keys-file", str(file))
    with httpx.Client(base_url=served.url, trust_env=False) as client:
        assert client.get("/stats").status_code == 401
        headers = {"Authorization": f"Bearer {secret}"}
        body = {"name": "refund", "utterances": ["money back"]}
        assert client.post("/routes", json=body, headers=headers).status_code == 201
    assert not [line for line in served.log if secret in line]
    assert [line for line in served.log if "POST /routes 201" in line and "key=anna" in line]
