# Makes %%replicate and %replicate known; the package is imported when one of them is first used, or
# completed. %config knows no magics that are not loaded, and takes whatever is set for them: so a
# cell that names their settings loads them too, and hears at once of one that is none. So does one
# that asks what they are, which IPython before 9.18 would not know.
def _make_known(shell):  # noqa: ANN001, ANN202  (imports nothing of ours, and no types)
    from contextlib import suppress  # noqa: PLC0415  (nothing is left in the user's namespace)

    named = ("ReplicateMagics", "%replicate?", "?%replicate", "?%%replicate")

    def load_where_named(info):  # noqa: ANN001, ANN202
        if "replicate_magic" in shell.extension_manager.loaded:
            shell.events.unregister("pre_run_cell", load_where_named)
        elif any(name in str(info.raw_cell) for name in named):
            with suppress(Exception):  # which is told when the magic is used
                shell.run_line_magic("load_ext", "replicate_magic")

    def complete(context):  # noqa: ANN001, ANN202
        if "%replicate" in context.full_text:
            with suppress(Exception):
                from replicate_magic.notebook.completer import first  # noqa: PLC0415

                return first(shell, context)  # takes this away, and puts itself in its place
        return {"completions": []}

    complete.matcher_api_version = 2
    complete.matcher_identifier = "replicate_magic.announced"
    complete.matcher_priority = 1_000
    shell.magics_manager.register_lazy("replicate", "replicate_magic")
    shell.events.register("pre_run_cell", load_where_named)
    shell.Completer.custom_matchers.append(complete)


_make_known(get_ipython())  # noqa: F821
del _make_known
