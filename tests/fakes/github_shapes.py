"""Users, organizations and repositories as GitHub shows them, with every field it requires."""

from typing import Any

Record = dict[str, Any]

_API = "https://api.github.com"
_OF_USERS = (
    *("followers", "following{/other_user}", "gists{/gist_id}", "starred{/owner}{/repo}"),
    *("subscriptions", "orgs", "repos", "events{/privacy}", "received_events"),
)
_NAMES = {"orgs": "organizations_url"}
_OF_REPOSITORIES = (
    *("archive", "assignees", "blobs", "branches", "collaborators", "comments", "commits"),
    *("compare", "contents", "contributors", "deployments", "downloads", "events", "forks"),
    *("git_commits", "git_refs", "git_tags", "hooks", "issue_comment", "issue_events", "issues"),
    *("keys", "labels", "languages", "merges", "milestones", "notifications", "pulls"),
    *("releases", "stargazers", "statuses", "subscribers", "subscription", "tags", "teams"),
    "trees",
)


def user(login: str, number: int, kind: str = "User") -> Record:
    """An account in short, the way every record names one; organizations are accounts too."""
    here = f"{_API}/users/{login}"
    links = {
        _NAMES.get(what, f"{what.partition('{')[0]}_url"): f"{here}/{what}" for what in _OF_USERS
    }
    return {
        "login": login,
        "id": number,
        "node_id": f"U_{number}",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{number}",
        "gravatar_id": "",
        "url": here,
        "html_url": f"https://github.com/{login}",
        **links,
        "type": kind,
        "site_admin": False,
    }


def organization(login: str, number: int) -> Record:
    """An organization as a member's list has it."""
    here = f"{_API}/orgs/{login}"
    links = {f"{what}_url": f"{here}/{what}" for what in ("repos", "events", "hooks", "issues")}
    return {
        "login": login,
        "id": number,
        "node_id": f"O_{number}",
        "url": here,
        **links,
        "members_url": f"{here}/members{{/member}}",
        "public_members_url": f"{here}/public_members{{/member}}",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{number}",
        "description": None,
    }


def organization_in_full(login: str, number: int) -> Record:
    """An organization as it is shown by itself."""
    moment = "2019-01-10T15:53:42Z"
    return {
        **organization(login, number),
        "has_organization_projects": True,
        "has_repository_projects": True,
        "public_repos": 1,
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "html_url": f"https://github.com/{login}",
        "type": "Organization",
        "created_at": moment,
        "updated_at": moment,
        "archived_at": None,
    }


def repository(owner: str, name: str, number: int = 1) -> Record:
    """A repository of an organization as lists have it."""
    here = f"{_API}/repos/{owner}/{name}"
    return {
        "id": number,
        "node_id": f"R_{number}",
        "name": name,
        "full_name": f"{owner}/{name}",
        "owner": user(owner, 1, "Organization"),
        "private": True,
        "html_url": f"https://github.com/{owner}/{name}",
        "description": None,
        "fork": False,
        "url": here,
        **{f"{what}_url": f"{here}/{what}" for what in _OF_REPOSITORIES},
    }


def repository_in_full(owner: str, name: str) -> Record:
    """A repository as it is shown by itself."""
    moment = "2021-01-10T15:53:42Z"
    switches = ("issues", "projects", "wiki", "pages", "discussions")
    counts = (
        *("forks_count", "stargazers_count", "watchers_count", "size", "open_issues_count"),
        *("subscribers_count", "network_count", "forks", "open_issues", "watchers"),
    )
    return {
        **repository(owner, name),
        "git_url": f"git://github.com/{owner}/{name}.git",
        "ssh_url": f"git@github.com:{owner}/{name}.git",
        "clone_url": f"https://github.com/{owner}/{name}.git",
        "svn_url": f"https://github.com/{owner}/{name}",
        "mirror_url": None,
        "homepage": None,
        "language": None,
        "license": None,
        "default_branch": "main",
        "archived": False,
        "disabled": False,
        **{f"has_{what}": True for what in switches},
        **dict.fromkeys(counts, 0),
        **dict.fromkeys(("pushed_at", "created_at", "updated_at"), moment),
    }


def installation(account: Record, number: int, **fields: Any) -> Record:
    """A GitHub App where it is installed; *account* is of `user`."""
    moment = "2022-01-10T15:53:42Z"
    return {
        "id": number,
        "account": account,
        "repository_selection": "all",
        "access_tokens_url": f"{_API}/app/installations/{number}/access_tokens",
        "repositories_url": f"{_API}/installation/repositories",
        "html_url": f"https://github.com/settings/installations/{number}",
        "app_id": 700 + number,
        "client_id": f"Iv1.{number}",
        "app_slug": f"app-{number}",
        "target_id": account["id"],
        "target_type": account["type"],
        "permissions": {},
        "events": [],
        "created_at": moment,
        "updated_at": moment,
        "single_file_name": None,
        "suspended_by": None,
        "suspended_at": None,
        **fields,
    }
