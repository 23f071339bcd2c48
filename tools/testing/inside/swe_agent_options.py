"""Options of a repository that would falsify a result, switched off. Runs under the repository's Python."""

_NEUTRAL = {
    "maxfail": 0,
    "continue_on_collection_errors": True,
    "cov_source": [],
    "no_cov": True,
    "cov_fail_under": None,
    "numprocesses": None,
    "dist": "no",
    "tx": [],
    "looponfail": False,
    "randomly_reorganize": False,
    "randomly_seed": 0,
    "random_order": False,
    "random_order_bucket": "none",
    "lf": False,
    "failedfirst": False,
    "newfirst": False,
    "stepwise": False,
    "collectonly": False,
    "usepdb": False,
    "xmlpath": None,
    "htmlpath": None,
    "resultlog": None,
    "pastebin": None,
    "cacheclear": False,
}


def neutralise(config):
    """`config` is pytest's."""
    for name, value in _NEUTRAL.items():
        if hasattr(config.option, name):
            setattr(config.option, name, value)
