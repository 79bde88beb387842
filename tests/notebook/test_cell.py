"""The cell in a real kernel, executed with nobody watching, against a server of the tests' own."""

from __future__ import annotations

import json

from replicate_server import HELLO, Model, answer, become, hold, log, openapi, say

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


def test_the_answer_stays_as_one_bundle_of_plain_text_and_html(execute_again):
    [cell] = execute_again("%%replicate acme/poet\nhi")
    [bundle] = cell.bundles
    assert set(bundle) == {"text/plain", "text/html"}
    assert bundle["text/plain"].startswith("Hello world\n\nacme/poet")
    assert "succeeded" in bundle["text/plain"]
    assert "<p>Hello world</p>" in bundle["text/html"]


def test_the_body_is_sent_as_it_stands_with_inputs_typed(execute_again, replicate):
    replicate.models["acme/poet"] = Model(
        official=True,
        schema=openapi(
            {"type": "string"},
            prompt={"type": "string"},
            n={"type": "integer"},
            s={"type": "string"},
        ),
    )
    execute_again('%%replicate acme/poet n=3 s="3"\nWhat is {"a": 1} + $5?\nSecond line;')
    [create] = replicate.seen("create")
    assert create.json == {
        "input": {"prompt": 'What is {"a": 1} + $5?\nSecond line;', "n": 3, "s": "3"}
    }


def test_a_prompt_that_ends_in_a_semicolon_is_answered(execute_again):
    [cell] = execute_again("%%replicate acme/poet\nWhat is 2+2;")
    assert cell.text.startswith("Hello world")


def test_nothing_is_shown_twice_though_the_underscore_holds_the_prediction(execute_again):
    cell, kept = execute_again("%%replicate acme/poet\nhi", "type(_).__name__, _.text, _.ok")
    assert len(cell.raw) == 1
    assert kept.text == "('Prediction', 'Hello world', True)"


def test_a_prediction_shows_its_answer_as_the_value_of_a_cell(execute_again):
    _, again = execute_again("%%replicate acme/poet -q\nhi", "_")
    assert again.text == "Hello world"


def test_output_goes_into_a_variable_and_leaves_the_status_line(execute_again):
    cell, kept = execute_again("%%replicate acme/poet -o answer\nhi", "answer.text, answer is _")
    assert cell.text.startswith("acme/poet")
    assert "Hello" not in cell.text
    assert kept.text == "('Hello world', True)"


def test_show_brings_the_hidden_answer_back(execute_again):
    [cell] = execute_again("%%replicate acme/poet -o answer --show\nhi")
    assert cell.text.startswith("Hello world")


def test_quiet_shows_nothing(execute_again):
    [cell] = execute_again("%%replicate acme/poet -q\nhi")
    assert cell.raw == []


def test_the_line_form_leaves_the_status_line_and_gives_the_prediction(execute_again, replicate):
    cell, kept = execute_again("x = %replicate run acme/poet Say hi to {{'Ada'}}", "x.text, x is _")
    assert cell.text.startswith("acme/poet")
    assert "Hello" not in cell.text
    assert kept.text == "('Hello world', True)"
    assert replicate.seen("create")[0].json["input"] == {"prompt": "Say hi to Ada"}


def test_the_bare_line_form_shows_the_answer_once(execute_again):
    [cell] = execute_again("%replicate run acme/poet hi")
    assert cell.text.count("Hello world") == 1


def test_the_line_form_sees_the_variables_of_the_function_it_stands_in(execute_again, replicate):
    execute_again(
        "def ask(name):\n    x = %replicate run acme/poet hi {{name}}\n    return x\nask('Ada')"
    )
    assert replicate.seen("create")[0].json["input"] == {"prompt": "hi Ada"}


def test_a_header_block_an_object_and_a_variable_become_inputs(execute_again, replicate, tmp_path):
    path = tmp_path / "note.bin"
    path.write_bytes(b"\x00\x01")
    replicate.models["acme/poet"] = Model(
        official=True,
        schema=openapi(
            None,
            prompt={"type": "string"},
            stop={"type": "array", "items": {"type": "string"}},
            file={"type": "string", "format": "uri"},
        ),
    )
    execute_again(
        "words = ['a', 'b']",
        f"%%replicate acme/poet file=@{path}\n---\nstop: {{{{words}}}}\n---\nhi {{{{len(words)}}}}",
    )
    assert replicate.seen("create")[0].json["input"] == {
        "stop": ["a", "b"],
        "file": "data:application/octet-stream;base64,AAE=",
        "prompt": "hi 2",
    }


def test_a_failed_prediction_raises_a_short_error_and_is_kept(execute_again, replicate):
    replicate.tells(log("loading\nout of luck\n"), become("failed", error="CUDA error"))
    cell, kept = execute_again(
        "%%replicate acme/poet -o mine\nhi", "_.status, mine.error, mine is _"
    )
    assert cell.error.startswith("PredictionFailed: acme/poet failed: CUDA error")
    assert "out of luck" in cell.told
    assert replicate.predictions[0]["id"] in cell.told
    assert "Traceback" not in cell.told
    assert kept.text == "('failed', 'CUDA error', True)"


MISTAKES = {
    "%%replicate acme/poet temprature=1\nhi": "has no input temprature",
    "%%replicate acme/poet --tmeout 3\nhi": "Did you mean --timeout?",
    "%%replicate acme/poet --grid prompt=1\nhi": "given twice",
    "%%replicate acme/poet acme/other\nhi": "acme/other",
    "%%replicate acme/poet\nhi {{nobody}}": "--raw",
    "%%replicate acme/poet prompt=@/no/such/file\n\n": "No such file",
    "%%replicate acme/poet --file /no/such/file\n\n": "No such file",
    "%%replicate acme/poet --jq '.a |'\nhi": "jq: syntax error",
    "%%replicate poet\nhi": "is not a model",
    "%%replicate localhost:5000\nhi": "is written http://localhost:5000",
    "%%replicate http://127.0.0.1:9\nhi": "No Cog server answers",
    "%%replicate\nhi": "No model is named",
    "%%replicate acme/poet prompt=a\nhi": "given twice",
    "%replicate runn acme/poet": "Did you mean run?",
    "%replicate acme/poet hi": "%replicate run acme/poet",
    "%%replicate acme/poet n = 3\nhi": "No blanks around `=`",
    "%%replicate acme/poet --wait 5\nhi": "--wait=5",
    "%%replicate run acme/poet\nhi": "write %%replicate acme/poet",
    "%%replicate acme/poet n:3\nhi": "key=value",
}


def test_a_mistake_is_told_in_a_line_and_nothing_is_sent(execute_again, replicate):
    made = dict(zip(MISTAKES, execute_again(*MISTAKES), strict=True))
    assert [cell for cell, words in MISTAKES.items() if words not in made[cell].told] == []
    assert [cell for cell in MISTAKES if "Traceback" in made[cell].told] == []
    assert replicate.seen("create") == []


def test_a_blank_body_where_a_prompt_is_required_sends_nothing(execute_again, replicate):
    schema = openapi(None, prompt={"type": "string"})
    schema["components"]["schemas"]["Input"]["required"] = ["prompt"]
    replicate.models["acme/poet"] = Model(official=True, schema=schema)
    [cell] = execute_again("%%replicate acme/poet\n\n")
    assert "requires prompt" in cell.error
    assert replicate.seen("create") == []


def test_without_a_token_the_error_says_what_to_do(execute):
    env = {"REPLICATE_API_TOKEN": "", "REPLICATE_BASE_URL": ""}
    [cell] = execute("%%replicate acme/poet\nhi", env=env)
    assert "REPLICATE_API_TOKEN" in cell.error
    assert "local/smollm2-135m-instruct" in cell.error


def test_jq_shows_and_keeps_what_the_program_gives(execute_again):
    one, none, many = execute_again(
        "%%replicate acme/poet -o x --show --jq '.output | length'\nhi\n",
        "%%replicate acme/poet --jq 'empty'\nhi",
        "%%replicate acme/poet --jq '.output[]'\nhi",
    )
    assert one.text.startswith("2\n\nacme/poet")
    assert none.text.startswith("jq gave no output")
    assert json.loads(many.text.split("\n\nacme/poet")[0]) == ["Hello", " world"]


def test_jq_leaves_the_underscore_to_the_prediction(execute_again):
    _, kept = execute_again("%%replicate acme/poet -o x --jq '.output | length'\nhi", "x, _.text")
    assert kept.text == "(2, 'Hello world')"


def test_a_dry_run_shows_the_exact_json_and_sends_nothing(execute_again, replicate):
    [cell] = execute_again("%%replicate acme/poet --dry-run --wait=5 --timeout 90s\nhi {{1 + 1}}")
    head, body = cell.printed.split("\n\n")[:2]
    assert head.splitlines()[0] == f"POST {replicate.url}/v1/models/acme/poet/predictions"
    assert "prefer: wait=5" in head
    assert "cancel-after: 90s" in head
    assert json.loads(body) == {"input": {"prompt": "hi 2"}}
    assert replicate.seen("create") == []


def test_json_output_is_shown_as_json(execute_again, replicate):
    replicate.tells(become("succeeded", output={"a": [1, 2]}))
    [cell] = execute_again("%%replicate acme/poet\nhi")
    assert json.loads(cell.text.split("\n\nacme/poet")[0]) == {"a": [1, 2]}


def test_pictures_are_fetched_without_the_token_and_embedded(execute_again, replicate):
    replicate.models["acme/painter"] = Model(
        official=True,
        schema=openapi({"type": "array", "items": {"type": "string", "format": "uri"}}),
    )
    replicate.files["out.png"] = ("image/png", PNG)
    replicate.files["big.png"] = ("image/png", PNG + b"\0" * 5_000_000)
    urls = [f"{replicate.other_url}/files/{name}" for name in ("out.png", "big.png", "gone.png")]
    replicate.tells(become("succeeded", output=urls))
    [cell] = execute_again("%%replicate acme/painter\na dot")
    links, picture = cell.bundles
    assert "image/png" in picture
    assert "big.png</a> (image/png, 5.0 MB)" in links["text/html"]
    assert "gone.png" in links["text/html"]
    assert not replicate.strangers_with_token()


def test_the_bare_line_form_shows_the_picture(execute_again, replicate):
    replicate.models["acme/painter"] = Model(
        official=True, schema=openapi({"type": "string", "format": "uri"})
    )
    replicate.files["out.png"] = ("image/png", PNG)
    replicate.tells(become("succeeded", output=f"{replicate.other_url}/files/out.png"))
    [cell] = execute_again("%replicate run acme/painter a dot")
    assert [set(bundle) - {"text/plain"} for bundle in cell.bundles] == [
        {"text/html"},
        {"image/png"},
    ]


def test_hostile_text_is_shown_and_does_nothing(execute_again, replicate):
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)> [x](javascript:alert(1)) \x1b[2J"
    replicate.tells(say(evil), log(evil), become("failed", error=evil))
    [cell] = execute_again("%%replicate acme/poet\nhi")
    saved = json.dumps(cell.raw)
    assert "<script" not in cell.bundles[0]["text/html"]
    assert "<img" not in cell.bundles[0]["text/html"]
    assert 'href="javascript' not in cell.bundles[0]["text/html"]
    assert "text/markdown" not in saved
    assert "\\u001b[2J" not in saved


def test_the_token_is_in_nothing_that_is_saved(execute_again, replicate):
    cells = execute_again(
        "%%replicate acme/poet\nhi",
        "%%replicate acme/poet --dry-run\nhi",
        "%%replicate acme/nobody\nhi",
        "import replicate_magic.session as s; s.the_session().endpoints.configured()",
        "s.the_session().runner.clients.__dict__",
    )
    assert "<Endpoint " in cells[3].text
    assert "<Endpoint " in cells[4].text
    assert replicate.token not in json.dumps([cell.raw for cell in cells])


def test_the_prompt_can_come_from_a_file_as_it_stands(execute_again, replicate, tmp_path):
    path = tmp_path / "prompt.txt"
    path.write_text("From a file: {{1 + 1}}\n")
    execute_again(f"%replicate run acme/poet --file {path}")
    assert replicate.seen("create")[0].json["input"] == {"prompt": "From a file: {{1 + 1}}"}


def test_the_configured_model_and_timeout_stand_in_for_what_is_not_written(execute, replicate):
    _, cell = execute(
        '%config ReplicateMagics.default_model = "acme/poet"\n'
        '%config ReplicateMagics.timeout = "90s"',
        "%%replicate\nhi",
    )
    assert cell.text.startswith("Hello world")
    assert replicate.seen("create")[0].headers["cancel-after"] == "90s"


def test_the_argument_wins_over_the_header_and_the_configuration(execute, replicate):
    replicate.models["acme/poet"] = Model(
        official=True, schema=openapi(None, prompt={"type": "string"}, n={"type": "integer"})
    )
    execute(
        '%config ReplicateMagics.timeout = "90s"',
        "%%replicate acme/poet n=1 --timeout 30s\n---\nn: 2\n---\nhi",
    )
    [create] = replicate.seen("create")
    assert create.json["input"]["n"] == 1
    assert create.headers["cancel-after"] == "30s"


def test_the_model_may_come_from_a_variable(execute_again, replicate):
    execute_again("model = 'acme/poet'", "%%replicate {{model}}\nhi", "%replicate run {{model}} hi")
    assert [request.path for request in replicate.seen("create")] == [
        "/v1/models/acme/poet/predictions"
    ] * 2


def test_several_words_of_the_line_form_keep_their_apostrophes(execute_again, replicate):
    execute_again("""%replicate run acme/poet It's Anna's "day" today""")
    assert replicate.seen("create")[0].json["input"] == {"prompt": """It's Anna's "day" today"""}


def test_a_bad_setting_is_told_at_once_and_the_extension_still_loads(execute):
    refused, _, cell = execute(
        '%load_ext replicate_magic\n%config ReplicateMagics.view = "fancy"',
        "%reload_ext replicate_magic",
        "%%replicate acme/poet\nhi",
    )
    assert refused.error.startswith("SettingRefused: ReplicateMagics.view = 'fancy'")
    assert cell.text.startswith("Hello world")


def test_single_line_breaks_stay(execute_again, replicate):
    replicate.tells(say("roses\nviolets"), become("succeeded"))
    [cell] = execute_again("%%replicate acme/poet\nhi")
    assert "roses<br>" in cell.bundles[0]["text/html"]


def test_what_broke_off_is_kept_with_what_was_seen(execute_again, replicate):
    replicate.tells(say("Hello"), hold())
    replicate.fails("get", always=answer(401, {"title": "Unauthenticated", "detail": "revoked"}))
    cell, kept = execute_again("%%replicate acme/poet -o mine\nhi", "_.text, mine is _")
    assert replicate.predictions[0]["id"] in cell.told
    assert kept.text == "('Hello', True)"


def test_a_file_and_a_header_block_go_together(execute_again, replicate, tmp_path):
    path = tmp_path / "prompt.txt"
    path.write_text("From a file")
    schema = openapi(None, prompt={"type": "string"}, n={"type": "integer"})
    replicate.models["acme/poet"] = Model(official=True, schema=schema)
    execute_again(f"%%replicate acme/poet --file {path}\n---\nn: 2\n---\n")
    assert replicate.seen("create")[0].json["input"] == {"n": 2, "prompt": "From a file"}


def test_no_output_of_jq_is_told_where_the_answer_is_hidden_too(execute_again):
    cell, kept = execute_again("%%replicate acme/poet -o x --jq empty\nhi", "x is None")
    assert "jq gave no output: x is None" in cell.printed
    assert kept.text == "True"


def test_help_lists_every_option_and_sends_nothing(execute_again, replicate):
    from replicate_magic.cell.options import OPTIONS

    cell, line, command = execute_again(
        "%%replicate acme/poet -h\nhi", "%replicate run -h", "%replicate help"
    )
    assert cell.printed == line.printed == command.printed
    assert [o.name for o in OPTIONS if f"--{o.name}" not in cell.printed] == []
    assert replicate.requests == []


def test_two_cells_in_a_row_use_one_connection_and_one_look_at_the_schema(execute_again, replicate):
    replicate.tells(*HELLO)
    replicate.tells(*HELLO)
    execute_again("%%replicate acme/poet\nhi", "%%replicate acme/poet\nho")
    assert len(replicate.seen("create")) == 2
    assert len(replicate.seen("model")) == 1


def test_with_nobody_watching_a_background_cell_blocks_and_holds_the_job(execute_again):
    background, after = execute_again(
        "%%replicate acme/poet --bg --show -o job\nhi", "print(_ is job, job.done, job.wait().text)"
    )
    assert background.text.startswith("Hello world\n\nacme/poet · succeeded")
    assert after.text == "True True Hello world"


def test_with_nobody_watching_a_background_cell_raises_where_it_failed(execute_again, replicate):
    replicate.tells(become("failed", error="no"))
    [cell] = execute_again("%%replicate acme/poet --bg\nhi")
    assert cell.error.startswith("PredictionFailed: acme/poet failed: no")
