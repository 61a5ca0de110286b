// The texts of the page whose contrast to what is behind them is below 4.5 to 1.
() => {
  const rgb = (text) => (text.match(/[0-9.]+/g) || []).map(Number);
  const light = (color) => {
    const [r, g, b] = color.slice(0, 3).map((one) => {
      const part = one / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const color = rgb(getComputedStyle(one).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  // How much of a text is left where it or what it is in lets its ground through.
  const opacity = (element) => {
    let left = 1;
    for (let one = element; one; one = one.parentElement) left *= Number(getComputedStyle(one).opacity);
    return left;
  };
  const mixed = (color, ground, share) => color.slice(0, 3).map((one, place) => share * one + (1 - share) * ground[place]);
  const poor = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.offsetParent || element.closest("noscript, .hidden")) continue;
    const ground = behind(element), color = rgb(getComputedStyle(element).color);
    const [one, two] = [light(mixed(color, ground, opacity(element))), light(ground)];
    const contrast = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    if (contrast < 4.5) poor.add(`${node.data.trim()} ${contrast.toFixed(2)}`);
  }
  return [...poor];
}
