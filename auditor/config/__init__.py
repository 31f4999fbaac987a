"""The configuration: one YAML file in, frozen values out, every mistake with line and column.

Relative paths start at the file's own folder. References to secrets stay references until a
source or channel opens (`auditor.secrets`).
"""

from auditor.config.entries import ChannelConfig, Entry, SourceConfig
from auditor.config.layout import DaemonSettings, KnownGap, Layout, Retention
from auditor.config.loading import Config, load_config

__all__ = [
    "ChannelConfig",
    "Config",
    "DaemonSettings",
    "Entry",
    "KnownGap",
    "Layout",
    "Retention",
    "SourceConfig",
    "load_config",
]
