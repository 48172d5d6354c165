"""The gate's reports in Airflow's navigation."""

from liftoff import airflow_pages


class GateReport(airflow_pages.Pages):
    """A page for each audit."""

    name = "gate_report"
    title = "Gate report"
    label = "Gate"
    path = "gate"
    # A shield with a tick.
    drawing = (
        '<path d="M12 3l7.5 2.8v5.7c0 4.6-3.1 7.7-7.5 9.5-4.4-1.8-7.5-4.9-7.5-9.5V5.8z"/>'
        '<path d="M8.8 12l2.3 2.3 4.2-4.6" fill="none"/>'
    )
    fill = "#fff"
    not_found = "There is no such report", "Reports are kept as long as what the gate refused. Open Gate again."

    def latest(self) -> str:
        """The report to see first."""
        from quality import page
        from storage.settings import load_settings

        return page.latest_page(load_settings())

    def page_of(self, page_id: str) -> str | None:
        """The report of one audit."""
        from quality import page
        from storage.settings import load_settings

        return page.page_of(load_settings(), page_id)

    def notice(self, title: str, text: str) -> str:
        """In the look of the reports."""
        from quality import page

        return page.render_notice(title, text)
