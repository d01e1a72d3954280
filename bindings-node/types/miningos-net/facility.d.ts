export = NetFacility;
/**
 * Orchestrators by name, as `clusters` in the member `r0` of `config/facs/net.config.json`. `folder` is relative to the
 * worker's root.
 *
 * @typedef {{folder: string, site?: import('../lib/site.js').SiteConf}} Cluster
 * @typedef {(...args: any[]) => any} Handler
 */
/**
 * MiningOS's net facility, with orchestrators in this process instead of a network.
 */
declare class NetFacility {
    /**
     * @param {any} caller the worker
     * @param {Record<string, any>} [opts]
     * @param {any} [ctx]
     */
    constructor(caller: any, opts?: Record<string, any>, ctx?: any);
    caller: any;
    opts: Record<string, any>;
    ctx: any;
    root: any;
    conf: {
        clusters?: Record<string, Cluster>;
    };
    /** Nobody dials in; its key is shown in the worker's status. */
    dht: {
        defaultKeyPair: {
            publicKey: Buffer;
        };
    };
    rpcServer: {
        publicKey: Buffer;
        dht: {
            defaultKeyPair: {
                publicKey: Buffer;
            };
        };
        respond: (name: string, handler: Handler) => void;
    };
    swarm: {
        connections: Set<any>;
        on(): void;
        join(): {
            destroy(): Promise<void>;
        };
    };
    /**
     * Opens the sites.
     *
     * @param {(error?: unknown) => void} cb
     */
    start(cb: (error?: unknown) => void): void;
    /**
     * Ends the sites: everything they took is durable then. Those that are just being opened are ended, too.
     *
     * @param {(error?: unknown) => void} cb
     */
    stop(cb: (error?: unknown) => void): void;
    startRpcServer(): Promise<void>;
    startSwarm(): Promise<void>;
    /**
     * What the worker's own method answers; workers register with `rpcServer.respond` what calls this.
     *
     * @param {string} method
     * @param {Buffer} request
     * @returns {Promise<Buffer>}
     */
    handleReply(method: string, request: Buffer): Promise<Buffer>;
    /**
     * Calls a method of an orchestrator; with the worker's own key, as its health check has it, one of the worker's.
     *
     * @param {string} key the name of a cluster
     * @param {string} method
     * @param {any} [params]
     * @param {{timeout?: number}} [options]
     * @returns {Promise<any>}
     */
    jRequest(key: string, method: string, params?: any, { timeout }?: {
        timeout?: number;
    }): Promise<any>;
    #private;
}
declare namespace NetFacility {
    export { Cluster, Handler };
}
/**
 * Orchestrators by name, as `clusters` in the member `r0` of `config/facs/net.config.json`. `folder` is relative to the
 * worker's root.
 */
type Cluster = {
    folder: string;
    site?: import("../lib/site.js").SiteConf;
};
/**
 * Orchestrators by name, as `clusters` in the member `r0` of `config/facs/net.config.json`. `folder` is relative to the
 * worker's root.
 */
type Handler = (...args: any[]) => any;
