"""Reads merged products (the report of a campaign, benchmarking, attribution); fits curves that experiments need."""

from phloem.analysis.report import CampaignFacts, SiteSeries, write_report

__all__ = ["CampaignFacts", "SiteSeries", "write_report"]
