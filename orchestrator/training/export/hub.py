"""push: an export directory to a dataset repository of the Hugging Face Hub (HF_ENDPOINT names another)."""

from __future__ import annotations

from pathlib import Path

from ....tools.errors import CredentialsError, ExportError
from ....tools.extras import install_command
from .verify import verify


def push(folder: Path, repository: str, *, private: bool = True) -> str:
    """Verify the directory, create the repository if absent (private) and upload in one commit; returns its
    address. The token is the client's own (HF_TOKEN or `hf auth login`).
    Raises: ExportError; CredentialsError when the Hub refuses the token."""
    verify(folder)
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise ExportError(f"--push needs the package huggingface-hub: {install_command('hub')}") from error
    api = HfApi()
    try:
        api.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=repository,
            repo_type="dataset",
            folder_path=folder,
            commit_message="Export of swe-agent trajectories",
        )
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if status in (401, 403):
            raise CredentialsError(
                f"the Hub refuses the token for {repository}: set HF_TOKEN ({error})"
            ) from error
        raise ExportError(f"the Hub refused the upload to {repository}: {error}") from error
    except OSError as error:
        raise ExportError(f"cannot reach the Hub for {repository}: {error}") from error
    return str(done.repo_url if hasattr(done, "repo_url") else repository)
