# Makes %%replicate and %replicate known; the package is imported when one of them is first used.
# %config knows no magics that are not loaded, and takes whatever is set for them: so a cell that
# names their settings loads them too, and hears at once of one that is none.
def _make_known(shell):  # noqa: ANN001, ANN202  (imports nothing of ours, and no types)
    from contextlib import suppress  # noqa: PLC0415  (nothing is left in the user's namespace)

    def load_for_settings(info):  # noqa: ANN001, ANN202
        if "replicate_magic" in shell.extension_manager.loaded:
            shell.events.unregister("pre_run_cell", load_for_settings)
        elif "ReplicateMagics" in str(info.raw_cell):
            with suppress(Exception):  # which is told when the magic is used
                shell.run_line_magic("load_ext", "replicate_magic")

    shell.magics_manager.register_lazy("replicate", "replicate_magic")
    shell.events.register("pre_run_cell", load_for_settings)


_make_known(get_ipython())  # noqa: F821
del _make_known
