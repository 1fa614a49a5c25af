// Elements. Text from a trace gets into the page here only, as text: nothing in this program parses markup.

/** An element with attributes (`class`, `data-*`, `aria-*`, `onclick`...) and children; null and "" are left out. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, String(value));
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

/** A list of which only the rows in view are elements, however long it is.
 *
 * `count()` rows of one height; `fill(element, row)` puts what row there is into an element, which is used again.
 */
export class VirtualRows {
  /** More pixels than browsers can lay out (Firefox: 17.8 million): then the scroll bar stands for parts of rows. */
  static MOST_PIXELS = 8_000_000;
  /** So many elements at most, however high the view is: on paper it is as high as all rows. */
  static MOST_ROWS = 2_000;

  constructor(scroller, { count, fill }) {
    this.scroller = scroller;
    this.count = count;
    this.fill = fill;
    this.pool = [];
    this.top = 0;
    this.space = el("div", { class: "space", role: "presentation" });
    this.window = el("div", { class: "window", role: "rowgroup" });
    this.space.append(this.window);
    scroller.append(this.space);
    scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    scroller.addEventListener("wheel", (event) => this.wheeled(event), { passive: false });
    new ResizeObserver(() => this.update()).observe(scroller);
  }

  measure() {
    this.height = this.pool[0]?.getBoundingClientRect().height || this.height || 22;
    this.view = Math.max(this.scroller.clientHeight - this.space.offsetTop, this.height);
    this.whole = this.count() * this.height;
    this.pixels = Math.min(this.whole, VirtualRows.MOST_PIXELS);
    this.inView = this.view / this.height;
  }

  get scaled() { return this.whole > this.pixels; }

  scrolled() {
    const at = this.scroller.scrollTop;
    if (!this.scaled) this.top = at / this.height;
    else if (Math.abs(at - this.expected) > 1) {
      this.top = (at / Math.max(this.pixels - this.view, 1)) * (this.count() - this.inView);
    }
    this.update();
  }

  wheeled(event) {
    if (!this.scaled || event.ctrlKey || !event.deltaY) return;
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 1 : event.deltaMode === 2 ? this.inView : 1 / this.height;
    this.scrollTo(this.top + event.deltaY * unit);
  }

  /** Put row `top` (it may lie between two) at the top. */
  scrollTo(top) {
    // How high a row is, is known only of one that is there.
    if (!this.pool.length) this.update();
    this.measure();
    this.top = Math.max(0, Math.min(top, this.count() - this.inView));
    this.update();
    this.expected = this.scaled
      ? Math.round((this.top / Math.max(this.count() - this.inView, 1)) * (this.pixels - this.view))
      : this.top * this.height;
    this.scroller.scrollTop = this.expected;
    this.update();
  }

  /** Scroll as little as it takes for `row` to be in view; into the middle if it is far away. */
  show(row) {
    this.measure();
    if (row >= this.top && row + 1 <= this.top + this.inView) return this.update();
    const near = row >= this.top - 3 && row <= this.top + this.inView + 3;
    if (!near) return this.scrollTo(row - this.inView / 3);
    return this.scrollTo(row < this.top ? row : row + 1 - this.inView);
  }

  /** Fill the rows in view anew. */
  update() {
    this.measure();
    const n = this.count();
    this.top = Math.max(0, Math.min(this.top, n - this.inView));
    const first = Math.max(0, Math.floor(this.top) - 2);
    const last = Math.min(n, Math.ceil(this.top + this.inView) + 2, first + VirtualRows.MOST_ROWS);
    while (this.pool.length < last - first) {
      this.pool.push(el("div", { class: "row", role: "row" }));
      this.window.append(this.pool[this.pool.length - 1]);
    }
    this.pool.forEach((element, k) => {
      const row = first + k;
      element.hidden = row >= last;
      if (row < last) this.fill(element, row);
    });
    this.space.style.height = `${this.pixels}px`;
    const above = this.scaled ? this.scroller.scrollTop - (this.top - first) * this.height : first * this.height;
    this.window.style.transform = `translateY(${above}px)`;
  }

  /** How many rows a page is. */
  get page() { return Math.max(1, Math.floor(this.inView ?? 1) - 1); }
}
