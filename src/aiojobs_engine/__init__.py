"""An asyncio engine for queued jobs, cron, and bulk import and export with live progress."""
