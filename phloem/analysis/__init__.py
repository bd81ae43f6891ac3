"""Reads merged products (the report of a campaign, benchmarking, attribution); fits curves that experiments need."""

from phloem.analysis.report import Contents, write_report
from phloem.analysis.report_page import CampaignFacts
from phloem.analysis.report_towers import SiteSeries

__all__ = ["CampaignFacts", "Contents", "SiteSeries", "write_report"]
