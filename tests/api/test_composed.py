"""The request that a method, a path and fields mean."""

from __future__ import annotations

import re

import pytest

from replicate_magic.api.address import read_address
from replicate_magic.api.composed import composed
from replicate_magic.cell.grammar import Given
from replicate_magic.cell.plan import read_target
from replicate_magic.errors import CellError, InputError

BASE = "https://api.replicate.com/v1"


def address(method, path, fields=(), **more):
    more = {"base": BASE, "read_model": read_target, **more}
    return read_address(method, path, dict(fields), **more)


def read_bytes(path, most):
    return path.read_bytes()[:most]


def request(method, path, fields=(), *, force=False, **more):
    return composed(address(method, path, fields, **more), read_bytes, force=force)


def text(**fields):
    """Fields as they stand on a line."""
    return {name: Given(text=value) for name, value in fields.items()}


# -- the path -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    ["/models", "models", "/v1/models", "v1/models/", " /models ", f"{BASE}/models", "/models#x"],
)
def test_a_path_is_taken_with_or_without_what_goes_before_it(written):
    assert request("GET", written).request.path == "/models"


@pytest.mark.parametrize(
    "written",
    [
        "https://evil.com/v1/models", "http://api.replicate.com/v1/models", "//evil.com/models",
        "https://api.replicate.com@evil.com/v1/models", "https://api.replicate.com:444/v1/models",
        "https://[broken", "\\\\evil.com", "ftp://api.replicate.com/models",
    ],
)  # fmt: skip
def test_what_leads_elsewhere_is_refused(written):
    with pytest.raises(CellError, match="the token goes nowhere else"):
        request("GET", written)


@pytest.mark.parametrize("written", ["", "/", "/v1", "/v1/", "?a=1"])
def test_nothing_is_no_path(written):
    with pytest.raises(CellError, match="Write a path of the API"):
        request("GET", written)


@pytest.mark.parametrize("written", ["/models/../x", "/models//x", "/../../etc"])
def test_a_path_goes_down_only(written):
    with pytest.raises(CellError, match="no path of the API"):
        request("GET", written)


def test_a_base_with_a_path_of_its_own_is_not_part_of_the_path():
    base = "https://proxy.example/replicate/v1"
    made = request("GET", f"{base}/models/a/b", base=base)

    assert made.request.path == "/models/a/b"


def test_odd_characters_are_encoded_and_what_is_encoded_stays():
    assert request("GET", "/models/a b/c%20d").request.path == "/models/a%20b/c%20d"
    assert request("GET", "/models/日/x").request.path == "/models/%E6%97%A5/x"


def test_holes_are_filled_by_fields_a_model_or_the_default():
    path = "/models/{owner}/{name}/versions/{version_id}"
    by_model = request("GET", path, text(model="a/b:abc"))
    by_fields = request("GET", path, text(owner="a", model_name="b/c", version_id="v"))

    assert by_model.request.path == "/models/a/b/versions/abc"
    assert by_fields.request.path == "/models/a/b%2Fc/versions/v"
    assert request("GET", "/models/{owner}/{name}", default="x/y").path == "/models/x/y"
    assert request("GET", "/deployments/{owner}/{name}", text(deployment="a/b")).path == (
        "/deployments/a/b"
    )


@pytest.mark.parametrize(
    ("path", "fields", "told"),
    [
        ("/models/{owner}/{name}", {}, "write model=owner/name behind it"),
        ("/deployments/{owner}/{name}", {"model": "a/b"}, "write deployment=owner/name"),
        ("/predictions/{prediction_id}", {}, "write prediction_id=… behind it"),
        ("/models/{owner}/{name}/versions/{version_id}", {"model": "a/b"}, "version_id=…"),
        ("/unknown/{x}", {}, "write x=…"),
    ],
)
def test_a_hole_that_nothing_fills_is_told(path, fields, told):
    with pytest.raises(CellError, match=re.escape(told)):
        request("GET", path, text(**fields))


# -- the method ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "fields", "method"),
    [
        ("/models", {}, "GET"),
        ("/predictions", {"created_after": "2026-01-01"}, "GET"),
        ("/search", {"query": "flux"}, "GET"),
        ("/predictions", {"version": "v", "input.prompt": "x"}, "POST"),
        ("/predictions/abc/cancel", {}, "POST"),
        ("/files", {"content": "x"}, "POST"),
        ("/unknown", {}, "GET"),
        ("/unknown", {"a": "1"}, "POST"),
    ],
)
def test_a_method_that_is_left_out_is_told_by_path_and_fields(path, fields, method):
    assert address("", path, text(**fields)).method == method


def test_a_method_is_read_in_any_case_and_a_wrong_one_is_told():
    assert address("delete", "/models/a/b").method == "DELETE"
    with pytest.raises(CellError, match=r"GTE is no method\. Did you mean GET\?"):
        address("GTE", "/models")


# -- the fields ---------------------------------------------------------------------------------


def test_fields_go_where_the_description_says_typed_as_it_says():
    search = request("GET", "/search", text(query="nano banana", limit="5"))
    create = request(
        "POST", "/deployments",
        text(name="n", model="a/b", version="v", hardware="cpu", min_instances="0",
             max_instances="2"),
    )  # fmt: skip

    assert search.request.path == "/search?query=nano+banana&limit=5"
    assert search.request.json is None
    assert create.request.json["max_instances"] == 2
    assert request("QUERY", "/models", text(query="héllo")).request.content == "héllo".encode()


def test_a_query_in_the_path_counts_and_what_is_unknown_in_it_goes_along():
    made = request("GET", "/models?sort_by=model_created_at&cursor=abc%3D")

    assert made.request.path == "/models?cursor=abc%3D&sort_by=model_created_at"
    with pytest.raises(InputError, match="sort_by=x: it is one of"):
        request("GET", "/models?sort_by=x")


def test_names_with_dots_are_nested_and_join_what_is_given_as_json():
    fields = {
        "destination": Given(text="a/c"), "input": Given(text='{"a": 1}', kind="json"),
        "input.steps": Given(text="10"), "input.deep.er": Given(text="x"),
    }  # fmt: skip
    made = request("POST", "/models/a/b/versions/v/trainings", fields)

    assert made.request.json == {
        "destination": "a/c",
        "input": {"a": 1, "steps": 10, "deep": {"er": "x"}},
    }


@pytest.mark.parametrize(
    ("method", "path", "fields", "told"),
    [
        ("GET", "/models", {"sort": "x"}, "Did you mean sort_by? It takes sort_by, sort_direction"),
        ("GET", "/account", {"x": "1"}, "GET /account takes no fields, and x is one"),
        ("GET", "/search", {}, "GET /search requires query."),
        ("POST", "/predictions", {"version": "v"}, "POST /predictions requires input."),
        ("GET", "/search", {"query": "x", "limit": "51"}, "limit=51: the least is 1, the most is"),
        ("GET", "/search", {"query": "x", "limit": "ten"}, "limit=ten: expected integer"),
        ("POST", "/predictions", {"version": "v", "input": "x"}, "no JSON object"),
        ("POST", "/predictions", {"version": "v", "input": "[1]"}, "expected an object"),
        ("POST", "/predictions", {"version": "v", "version.x": "1"}, "given as a value"),
        ("POST", "/predictions", {"version": "v", "input.p": "1", "Prefer": "x"}, "wait=N"),
        ("POST", "/predictions", {"version": "no model/at all", "input.p": "1"}, "not a model"),
    ],
)
def test_what_is_wrong_with_fields_is_told(method, path, fields, told):
    with pytest.raises(CellError, match=re.escape(told)) as error:
        request(method, path, text(**fields))

    assert "token" not in str(error.value)


def test_all_problems_are_told_at_once_and_force_sends_all_the_same():
    with pytest.raises(InputError) as error:
        request("POST", "/deployments", text(nam="x", min_instances="9"))
    forced = request("GET", "/models", text(sort="x"), force=True)

    assert str(error.value).count("\n") == 3
    assert str(error.value).endswith("\nNothing was sent.")
    assert forced.request.path == "/models?sort=x"


def test_a_file_is_read_as_text_as_json_or_as_a_data_url(tmp_path):
    (tmp_path / "readme.md").write_text("# Hi\n")
    (tmp_path / "input.json").write_text('{"prompt": "x"}')
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")

    def at(name):
        return Given(text=str(tmp_path / name), kind="file")

    update = request("PATCH", "/models/a/b", {"readme": at("readme.md")})
    training = request(
        "POST", "/models/a/b/versions/v/trainings",
        {"destination": "a/c", "input": at("input.json"), "input2": 1}, force=True,
    )  # fmt: skip
    unknown = request("POST", "/unknown", {"image": at("a.png")})

    assert update.request.json == {"readme": "# Hi\n"}
    assert training.request.json["input"] == {"prompt": "x"}
    assert unknown.request.json["image"].startswith("data:image/png;base64,")
    with pytest.raises(InputError, match=r"readme=@.*No such file"):
        request("PATCH", "/models/a/b", {"readme": at("none")})


# -- a prediction -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "version", "target"),
    [
        ("/predictions", "a/b", "a/b"),
        ("/predictions", "a/b:abc", "a/b:abc"),
        ("/predictions", "5c7d5dc6", "version 5c7d5dc6"),
        ("/models/a/b/predictions", None, "a/b"),
        ("/deployments/a/b/predictions", None, "deployment:a/b"),
    ],
)
def test_what_a_create_runs_is_known(path, version, target):
    fields = text(**{"input.prompt": "x", "Cancel-After": "5m", "prefer": "wait"})
    fields |= text(version=version) if version else {}
    fields["webhook"] = Given(text="https://example.com/hook")
    creation = request("POST", path, fields).creation

    assert str(creation.target) == target
    assert creation.version == version
    assert creation.inputs == {"prompt": Given(text="x")}
    assert creation.beside == {"webhook": "https://example.com/hook"}
    assert (creation.wait_s, creation.cancel_after_s) == (60, 300)


@pytest.mark.parametrize(
    ("method", "path", "fields", "kept"),
    [
        ("PATCH", "/deployments/a/b", {"min_instances": "2"}, {"min_instances": 2}),
        ("PATCH", "/deployments/a/b", {"hardware": "gpu-h100"}, {"hardware": "gpu-h100"}),
        ("PATCH", "/deployments/a/b", {"min_instances": "0"}, {}),
        ("PATCH", "/deployments/a/b", {"version": "v"}, {}),
        ("PATCH", "/models/a/b", {"description": "x"}, {}),
    ],
)
def test_what_keeps_a_deployment_running_is_known(method, path, fields, kept):
    assert request(method, path, text(**fields)).keeps_running == kept
