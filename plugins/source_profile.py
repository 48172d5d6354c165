"""The profiles of the sources in Airflow's navigation."""

from liftoff import airflow_pages


class SourceProfile(airflow_pages.Pages):
    """A page for each profile that is kept."""

    name = "source_profile"
    title = "Source profile"
    label = "Sources"
    path = "sources"
    # A magnifying glass over bars.
    drawing = (
        '<circle cx="10.5" cy="10.5" r="7"/><path d="M15.7 15.7l4.8 4.8M7.8 12.8v-2.3M10.5 12.8V7.6M13.2 12.8v-3.6"/>'
    )
    fill = "#fff"
    not_found = "There is no such profile", "The last ones are kept. Open Sources again."

    def latest(self) -> str:
        """The last profile, or how to make the first."""
        from quality.profile.kept import pages
        from storage.settings import load_settings

        kept = list(pages(load_settings().lake_dir).values())
        if kept:
            return kept[0].read_text(encoding="utf-8")
        return self.notice(
            "Nothing was profiled yet",
            "Trigger the DAG explore_sources with its form left empty: it looks at all that has landed, as on each "
            "Monday.",
        )

    def page_of(self, page_id: str) -> str | None:
        """One profile. Its id is looked up: no path is made from it."""
        from quality.profile.kept import pages
        from storage.settings import load_settings

        kept = pages(load_settings().lake_dir).get(page_id)
        return kept.read_text(encoding="utf-8") if kept else None

    def notice(self, title: str, text: str) -> str:
        """In the look of the profiles."""
        from quality.profile.page import render_notice

        return render_notice(title, text)
