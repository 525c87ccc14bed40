/** The line of a photo in the list. */
export class JobView {
  /**
   * @param {string} name the name of the file
   * @param {{show: Function, cancel: Function, remove: Function}} actions what its buttons do
   */
  constructor(name, {show, cancel, remove}) {
    this.name = name;
    this.actions = {show, cancel, remove};
    this.element = make('li');
    this.thumb = make('button', {className: 'thumb', type: 'button', disabled: true});
    this.thumb.setAttribute('aria-label', `Show ${name}`);
    this.thumb.onclick = show;
    this.saying = make('p', {className: 'say', textContent: 'Waiting'});
    this.buttons = make('div', {className: 'buttons'});
    this.#button('Cancel', cancel);
    this.bar = make('progress', {max: 1, hidden: true});
    this.bar.setAttribute('aria-label', `Progress of ${name}`);
    const title = make('span', {className: 'name', textContent: name, title: name});
    this.element.append(this.thumb, title, this.saying, this.buttons, this.bar);
  }

  /** @param {string} text what is known about the photo now */
  say(text) {
    this.saying.textContent = text;
  }

  /** @param {number|null} share from 0 to 1; null if it is not known yet */
  progress(share) {
    this.bar.hidden = false;
    if (share === null) this.bar.removeAttribute('value');
    else this.bar.value = share;
  }

  /** @param {ImageBitmap} preview the photo, before it is enlarged */
  thumbnail(preview) {
    const canvas = make('canvas', {width: 128, height: 128});
    const side = Math.min(preview.width, preview.height);
    const left = (preview.width - side) / 2, top = (preview.height - side) / 2;
    canvas.getContext('2d').drawImage(preview, left, top, side, side, 0, 0, 128, 128);
    this.thumb.replaceChildren(canvas);
    this.thumb.disabled = false;
  }

  /**
   * @param {Blob} result the PNG file
   * @param {string} name its name
   */
  finished(result, name) {
    this.#end('done');
    this.address = URL.createObjectURL(result);
    const link = make('a', {className: 'button primary', textContent: 'Download'});
    Object.assign(link, {href: this.address, download: name});
    link.setAttribute('aria-label', `Download ${name}`);
    this.buttons.append(link);
    this.#button('Remove', this.actions.remove);
  }

  /** @param {string} message why the photo could not be enlarged */
  failed(message) {
    this.#end('failed');
    this.say(message);
    this.#button('Remove', this.actions.remove);
  }

  /** Lets the browser free the file. */
  forget() {
    if (this.address) URL.revokeObjectURL(this.address);
  }

  #end(state) {
    this.element.classList.add(state);
    this.bar.hidden = true;
    this.buttons.replaceChildren();
  }

  #button(text, action) {
    const button = make('button', {type: 'button', textContent: text, onclick: action});
    button.setAttribute('aria-label', `${text} ${this.name}`);
    this.buttons.append(button);
  }
}

function make(name, properties = {}) {
  return Object.assign(document.createElement(name), properties);
}
