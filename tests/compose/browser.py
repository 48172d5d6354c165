"""What a user sees and does in Airflow's UI, in Chromium, and the pictures of it for the README."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import FrameLocator, Locator, Page, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIETLY = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--disable-quic", "--no-first-run"),
)
UNFINISHED = ".chakra-skeleton, .chakra-spinner, .chakra-progress__root, [data-scope=toast][data-part=root]"
PATIENCE = 30_000  # ms


def find_chromium() -> str | None:
    """The first browser that works: Playwright brings none, and Ubuntu's chromium-browser only asks for another."""
    for name in NAMES:
        path = shutil.which(name)
        if path and subprocess.run([path, "--version"], check=False, capture_output=True).returncode == 0:
            return path
    return None


class Ui:
    """One browser window at Airflow's UI. Each step fails, with what it looked for, after half a minute."""

    def __init__(self, page: Page, url: str, pictures: Path) -> None:
        self.page = page
        self.url = url
        self.pictures = pictures

    def log_in(self, password: str) -> None:
        """Fill in the login form, which any page leads to."""
        self.page.goto(self.url)
        self.page.get_by_label("Username").fill("admin")
        self.page.get_by_label("Password").first.fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("heading", name="Welcome")).to_be_visible()

    def open(self, path: str) -> None:
        """Go to a page by its address."""
        self.page.goto(f"{self.url}/{path}")

    def description_of(self, dag_id: str) -> str:
        """What the DAG list says when the mouse rests on a DAG's name."""
        tip = self.page.locator("[role=tooltip][data-state=open]")
        name = self.page.get_by_role("link", name=dag_id, exact=True)
        name.scroll_into_view_if_needed()
        self.page.mouse.move(0, 0)
        expect(tip).to_have_count(0)
        self.page.wait_for_timeout(500)  # a list that still scrolls would close it again
        name.hover()
        expect(tip).to_have_count(1)
        return tip.inner_text()

    def tags_of(self, dag_id: str) -> list[str]:
        """The tags that the DAG list shows beside a DAG's name."""
        card = self.page.get_by_test_id("dag-card").filter(has=self.page.get_by_role("link", name=dag_id, exact=True))
        return card.get_by_test_id("limited-items-list").get_by_role("link").all_inner_texts()

    def open_form(self, dag_id: str) -> Locator:
        """A DAG's trigger form."""
        self.open(f"dags/{dag_id}")
        self.page.get_by_role("button", name="Trigger Dag").click()
        form = self.page.get_by_role("dialog").filter(has_text=f"Trigger Dag - {dag_id}")
        expect(form.get_by_text("Run Parameters")).to_be_visible()
        return form

    def submit(self, form: Locator) -> str:
        """Trigger the run. Returns its id, from the address of the page that then opens."""
        form.get_by_role("button", name="Trigger", exact=True).click()
        self.page.wait_for_url("**/runs/*")
        return self.page.url.rsplit("/", 1)[1]

    def open_log(self, dag_id: str, run_id: str, task_id: str) -> Locator:
        """The log of a task's last attempt, from its first line, beside the grid of all runs."""
        self.open(f"dags/{dag_id}/runs/{quote(run_id)}/tasks/{task_id}")
        button = self.page.get_by_role("button", name="Show Grid")
        button.click()
        button.blur()
        log = self.page.get_by_test_id("virtualized-list")
        expect(log).to_be_visible()
        for key in ("t", "w", "Control+ArrowUp"):  # no timestamps, wrap lines, to the top
            self.page.keyboard.press(key)
        return log

    def open_graph(self, path: str) -> Locator:
        """The graph of a DAG, a run or an asset: its nodes."""
        self.open(path)
        if path.startswith("dags/"):
            self.page.get_by_role("button", name="Show Graph").click()
        nodes = self.page.locator(".react-flow__node")
        expect(nodes.first).to_be_visible()
        return nodes

    def follow(self, entry: str) -> FrameLocator:
        """Click an entry of the navigation that shows a page of ours in a frame."""
        self.page.get_by_role("link", name=entry, exact=True).click()
        return self.page.frame_locator("iframe")

    def picture(self, name: str, shown: Locator | None = None) -> None:
        """Keep a picture of the window, or of a part of it, once nothing in it is loading or about to go away."""
        expect(self.page.locator(UNFINISHED).filter(visible=True)).to_have_count(0)
        self.page.wait_for_timeout(1_000)  # what slides in has slid in
        (shown or self.page).screenshot(path=self.pictures / f"{name}.png", animations="disabled")


@contextmanager
def browsing(url: str, pictures: Path) -> Iterator[Ui]:
    """A browser of its own, of the size of a README's pictures."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=QUIETLY)
        page = browser.new_page(
            viewport={"width": 1280, "height": 800}, color_scheme="light", locale="en-GB", timezone_id="UTC"
        )
        page.set_default_timeout(PATIENCE)
        yield Ui(page, url, pictures)
        browser.close()
