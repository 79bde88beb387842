"""What there is: models, versions, deployments, search, the account."""

import pytest

MODEL = "local/smollm2-135m-instruct"


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/models", "paginated_model"),
        (f"/models/{MODEL}", "model"),
        (f"/models/{MODEL}/versions", "paginated_version"),
        (f"/models/{MODEL}/examples", "paginated_prediction"),
        ("/deployments", "paginated_deployment"),
        (f"/deployments/{MODEL}", "deployment"),
        ("/collections", "paginated_collection"),
        ("/collections/local", "collection"),
        ("/search?query=smollm", "search"),
        ("/account", "account"),
        ("/hardware", "hardware"),
        ("/files", "paginated_file"),
        ("/trainings", "paginated_training"),
    ],
)
def test_answers_fit_the_published_schema(api, fits, path, schema):
    answer = api.get(path)
    assert answer.status_code == 200
    fits(schema, answer.json())


def test_the_model_says_what_it_is(api):
    model = api.get(f"/models/{MODEL}").json()
    assert "135M demo model" in model["description"]
    assert model["is_official"] is True
    assert model["license_url"]


def test_the_schema_is_cogs(api):
    model = api.get(f"/models/{MODEL}").json()
    schemas = model["latest_version"]["openapi_schema"]["components"]["schemas"]
    inputs = schemas["Input"]["properties"]
    orders = [inputs[name]["x-order"] for name in inputs]
    assert "required" not in schemas["Input"]  # a prompt, or messages
    assert orders == list(range(len(inputs)))
    assert schemas["Output"] == {
        "type": "array",
        "title": "Output",
        "items": {"type": "string"},
        "x-cog-array-type": "iterator",
        "x-cog-array-display": "concatenate",
    }


def test_a_version_has_64_hex_digits_and_a_page_of_its_own(api):
    version = api.get(f"/models/{MODEL}").json()["latest_version"]
    assert len(bytes.fromhex(version["id"])) == 32
    assert api.get(f"/models/{MODEL}/versions/{version['id']}").json() == version
    assert api.get(f"/models/{MODEL}/versions/{'0' * 64}").status_code == 404


def test_the_default_example_is_a_whole_prediction(api, fits):
    example = api.get(f"/models/{MODEL}").json()["default_example"]
    fits("prediction", example)
    assert example["output"]


def test_the_readme_is_text(api):
    answer = api.get(f"/models/{MODEL}/readme")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.startswith("# SmolLM2")


@pytest.mark.parametrize("words", ["smollm2", "demo facts"])
def test_query_finds_the_model(api, fits, words):
    answer = api.request("QUERY", "/models", content=words, headers={"content-type": "text/plain"})
    fits("queried_models", answer.json())
    assert answer.json()["results"][0]["name"] == "smollm2-135m-instruct"


def test_query_for_nothing_finds_all(api):
    found = api.request("QUERY", "/models", content="").json()["results"]
    assert [model["name"] for model in found] == ["smollm2-135m-instruct", "waifu2x"]


def test_search_finds_nothing_for_strange_words(api):
    found = api.get("/search", params={"query": "zebrafish"}).json()
    assert (found["models"], found["collections"]) == ([], [])


@pytest.mark.parametrize("params", [{}, {"query": "a", "limit": "0"}, {"query": "a", "limit": "x"}])
def test_search_with_wrong_parameters_is_a_400(api, params):
    assert api.get("/search", params=params).status_code == 400


def test_an_unknown_collection_is_a_404(api):
    assert api.get("/collections/x").status_code == 404
