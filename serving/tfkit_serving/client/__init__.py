"""The client: REST and gRPC, waiting or with asyncio, numpy in and out, without TensorFlow.

A call is written once, as a generator that gives requests and takes replies (`calls`). What a request looks like is
the business of `rest_words` and `grpc_words`; how it travels, that of the connections.
"""
