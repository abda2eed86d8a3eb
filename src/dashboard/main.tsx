/** The dashboard's first file: style, then the frame with the page that the address names. */
import './style/all.css';
import { render } from 'preact';
import { App } from './app.tsx';

render(<App />, document.getElementById('app') as HTMLElement);
