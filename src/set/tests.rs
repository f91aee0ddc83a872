use redpkt_proto as _;
