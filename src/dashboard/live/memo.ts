/** A component that is made once for each set of properties: for long lists of what never changes. */
import { Component, type ComponentChild, type ComponentType, type VNode } from 'preact';

export function memo<P extends object>(make: (props: P) => VNode): ComponentType<P> {
  return class Kept extends Component<P> {
    override shouldComponentUpdate(next: Readonly<P>): boolean {
      return (Object.keys(next) as (keyof P)[]).some((name) => next[name] !== this.props[name]);
    }

    override render(): ComponentChild {
      return make(this.props);
    }
  };
}
