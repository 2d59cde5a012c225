/**
 * @module The routing protocol number on our routes, nexthops and rules, so that `ip route show proto 151` lists them and
 * daemons that clean up their own number leave them alone. It says who wrote; what is ours is decided by ownership.ts.
 */
export const OUR_PROTOCOL = 151;
